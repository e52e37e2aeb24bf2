// Package updates has the flags by which programs say where the built-in hub gets its vulnerability data.
package updates

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/perceptor/perceptor/internal/hub/builtin"
)

// Variable is the variable of the environment that gives the flag --updates its default. Tests and machines without a network
// set it to Off.
const Variable = "PERCEPTOR_HUB_UPDATES"

// Off is the value that switches updates off.
const Off = "off"

// Flags are the values of the flags.
type Flags struct {
	from     string
	hosts    []string
	interval time.Duration
}

// Register adds the flags.
func (f *Flags) Register(flags *pflag.FlagSet) {
	flags.StringVar(&f.from, "updates", cmp.Or(os.Getenv(Variable), builtin.OSV),
		"web address that the hub updates its vulnerability data from, laid out as OSV's bucket; off: no updates (also "+Variable+")")
	flags.DurationVar(&f.interval, "update-interval", builtin.DefaultUpdateInterval, "time between two checks for new vulnerability data")
	flags.StringSliceVar(&f.hosts, "update-host", nil, "hosts that the address of the updates may redirect to, besides its own")
}

// Apply sets the hub's options.
func (f *Flags) Apply(o *builtin.Options) {
	if f.from != Off {
		o.Updates, o.UpdateHosts, o.UpdateInterval = f.from, f.hosts, f.interval
	}
}

// Describe says in one or more lines which data the verdicts rest on.
func Describe(d builtin.DataView, now time.Time) []string {
	var loaded, sample []string
	for _, each := range d.Data {
		switch {
		case each.Sample:
			sample = append(sample, each.Ecosystem)
		default:
			text := each.Ecosystem + " " + Age(each.AsOf, now)
			if !each.Complete {
				text += " (incomplete)"
			}
			loaded = append(loaded, text)
		}
	}
	var lines []string
	switch {
	case len(loaded) > 0:
		lines = append(lines, "loaded data: "+strings.Join(loaded, ", "))
	case len(sample) > 0:
		lines = append(lines, "demo data: a sample of some sixty published records")
	default:
		lines = append(lines, "none: every image is UNKNOWN")
	}
	if len(loaded) > 0 && len(sample) > 0 {
		lines = append(lines, "demo data for "+strings.Join(sample, ", "))
	}
	return append(lines, describeUpdates(d)...)
}

func describeUpdates(d builtin.DataView) []string {
	u := d.Updates
	if u == nil {
		return []string{"no updates (switched off)"}
	}
	if u.Trouble.Failures > 0 {
		return []string{fmt.Sprintf("updates fail (%s); next try at %s", u.Trouble.Problem, u.Trouble.Next.Local().Format("15:04:05"))}
	}
	lines := []string{fmt.Sprintf("updates from %s every %s, for what the images need", u.Source, u.Interval)}
	for _, e := range u.Ecosystems {
		switch {
		case e.Failures > 0:
			lines = append(lines, fmt.Sprintf("update of %s fails (%s); next try at %s", e.Ecosystem, e.Problem, e.Next.Local().Format("15:04:05")))
		case u.Now.Ecosystem == e.Ecosystem && u.Now.Total > 0:
			lines = append(lines, fmt.Sprintf("%s is being loaded: %d %% of %d MB fetched", e.Ecosystem, 100*u.Now.Done/u.Now.Total, (u.Now.Total+999_999)/1_000_000))
		case e.Loading:
			lines = append(lines, e.Ecosystem+" is being loaded")
		}
	}
	return lines
}

// Age is how old data are, such as "3 h old".
func Age(asOf, now time.Time) string {
	age := now.Sub(asOf)
	switch {
	case asOf.Unix() <= 0:
		return "of unknown age"
	case age < time.Hour:
		return fmt.Sprintf("%d min old", max(0, int(age.Minutes())))
	case age < 48*time.Hour:
		return fmt.Sprintf("%d h old", int(age.Hours()))
	}
	return fmt.Sprintf("%d days old", int(age.Hours()/24))
}
