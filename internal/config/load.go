package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// Load reads the file, when there is one, then the PERCEPTOR_* variables (PERCEPTOR_SCANNER_WORKSPACES sets workspaces below
// scanner), then the flags. Each takes precedence over the one before. Keys that no field has are an error.
func Load(file string, flags *pflag.FlagSet) (Config, error) {
	v := viper.NewWithOptions(viper.KeyDelimiter(delimiter))
	c := Default()
	if err := bind(v, flags); err != nil {
		return Config{}, err
	}
	if file != "" {
		v.SetConfigFile(file)
		v.SetConfigType("yaml")
		if err := v.ReadInConfig(); err != nil {
			return Config{}, fmt.Errorf("read configuration from %s: %w", file, err)
		}
	}
	err := v.Unmarshal(&c, func(d *mapstructure.DecoderConfig) {
		d.ErrorUnused = true
		d.DecodeHook = mapstructure.ComposeDecodeHookFunc(
			mapstructure.TextUnmarshallerHookFunc(), mapstructure.StringToTimeDurationHookFunc(), mapstructure.StringToSliceHookFunc(","))
	})
	if err != nil {
		return Config{}, fmt.Errorf("read configuration from %s: %w", cmp.Or(file, "variables and flags"), err)
	}
	return c, c.Validate()
}

func bind(v *viper.Viper, flags *pflag.FlagSet) error {
	for _, each := range settings() {
		if err := v.BindEnv(each.key, each.variable()); err != nil {
			return fmt.Errorf("bind %s to its variable: %w", each.key, err)
		}
		if flags == nil || flags.Lookup(each.flag) == nil || !flags.Changed(each.flag) {
			continue
		}
		value := flags.Lookup(each.flag).Value
		if list, isList := value.(pflag.SliceValue); isList {
			v.Set(each.key, list.GetSlice())
			continue
		}
		v.Set(each.key, value.String())
	}
	return nil
}

// Validate reports all values that cannot work, in one error.
func (c Config) Validate() error {
	var wrong []error
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	seen := map[string]bool{}
	for i, h := range c.Hubs {
		if seen[h.Name] {
			complain("hubs: two have the name %q; every hub needs its own", h.Name)
		}
		seen[h.Name] = true
		wrong = append(wrong, h.validate(i)...)
	}
	if c.Scanner.Workspaces < 1 {
		complain("scanner: workspaces is %d; want at least 1", c.Scanner.Workspaces)
	}
	if c.Scanner.Domain == "" {
		complain("scanner: domain is empty; leave the key out for %q", "default")
	}
	if c.Perceiver.SnapshotInterval < 0 || c.Perceiver.Kubernetes.Rate < 0 {
		complain("perceiver: snapshot-interval and kubernetes rate must not be negative")
	}
	for _, each := range c.Scanner.Network.Allow {
		if _, err := netip.ParsePrefix(each); err != nil {
			complain("scanner: network: allow %.80q: want a network such as 10.20.0.0/16", each)
		}
	}
	wrong = append(wrong, c.Scanner.Client.validate()...)
	wrong = append(wrong, c.API.validate()...)
	wrong = append(wrong, c.Perceiver.Registry.validate()...)
	wrong = append(wrong, c.API.validateScanners(c.Hubs)...)
	for i, r := range c.Registries {
		if r.Host == "" {
			complain("registries[%d]: host is missing", i)
		}
	}
	for i, each := range c.Credentials {
		if each.Name == "" {
			complain("credentials[%d]: name is missing", i)
		}
		if (each.DockerConfig == "") == (each.PasswordFile == "") {
			complain("credentials[%d] %q: give either docker-config, or username and password-file", i, each.Name)
		}
		if len(each.Hosts) == 0 {
			complain("credentials[%d] %q: hosts is missing; list the registries that may get this login, because pods choose what their images are pulled with", i, each.Name)
		}
	}
	return errors.Join(wrong...)
}

func (h Hub) validate(i int) []error {
	var wrong []error
	complain := func(format string, args ...any) {
		wrong = append(wrong, fmt.Errorf("hubs[%d] %q: %w", i, h.Name, fmt.Errorf(format, args...)))
	}
	if !nameForm.MatchString(h.Name) {
		complain("a name has up to 63 lower-case letters, digits and dashes")
	}
	if !strings.HasPrefix(h.URL, "https://") {
		complain("url %q: want https://HOST[:PORT]", h.URL)
	}
	if h.Limit < 1 {
		complain("limit is %d; want at least 1; a hub without scans has disabled: true", h.Limit)
	}
	if h.MaxLimit != 0 && h.MaxLimit < h.Limit {
		complain("max-limit is %d; want at least limit, which is %d, or 0 for ten times limit", h.MaxLimit, h.Limit)
	}
	if h.Rate < 0 || h.Settle < 0 {
		complain("rate and settle must not be negative")
	}
	if h.Refresh != 0 && h.Refresh < time.Second {
		complain("refresh is %s; want at least 1s, or 0 for every minute", h.Refresh)
	}
	if (h.TokenFile == "") == (h.PasswordFile == "") {
		complain("give either token-file, or username and password-file")
	}
	return wrong
}

func (s ScanClient) validate() []error {
	var wrong []error
	for _, placeholder := range []string{"{tar}", "{sbom}"} {
		if len(s.Template) > 0 && !strings.Contains(strings.Join(s.Template, " "), placeholder) {
			wrong = append(wrong, fmt.Errorf("scanner: client: template lacks %s", placeholder))
		}
	}
	d := s.DataAsOf
	dated := d.File != "" || len(d.Command) > 0 || d.Key != ""
	switch {
	case dated && len(s.Template) == 0:
		wrong = append(wrong, errors.New("scanner: client: data-as-of goes together with template"))
	case dated && (d.File == "") == (len(d.Command) == 0):
		wrong = append(wrong, errors.New("scanner: client: data-as-of: give either file or command"))
	}
	return wrong
}

func (a API) validate() []error {
	var wrong []error
	if (a.CertFile == "") != (a.KeyFile == "") {
		wrong = append(wrong, errors.New("api: cert-file and key-file go together"))
	}
	if a.Generation != "current" && a.Generation != "old" {
		wrong = append(wrong, fmt.Errorf("api: generation %q: want current or old", a.Generation))
	}
	switch {
	case a.CompatAddress == "" && (a.CompatCluster != "" || a.CompatScanners):
		wrong = append(wrong, errors.New("api: compat-cluster and compat-scanners go together with compat-address"))
	case a.CompatAddress != "" && a.CompatCluster == "":
		wrong = append(wrong, errors.New("api: compat-address needs compat-cluster, the one cluster whose perceivers use it"))
	case a.CompatAddress != "" && !clusterForm.MatchString(a.CompatCluster):
		wrong = append(wrong, fmt.Errorf("api: compat-cluster %.80q: want up to 63 letters, digits, dots, dashes and underscores, a letter or digit first", a.CompatCluster))
	case a.CompatScanners && len(a.ScannerHubs) == 0:
		wrong = append(wrong, errors.New("api: compat-scanners needs scanner-hubs"))
	}
	return wrong
}

// The bounds of the time that a scanner of others may be silent: shorter, no image would be scanned in time; longer, a lease would be
// out for days.
const (
	shortestSilence = 10 * time.Second
	longestSilence  = 24 * time.Hour
)

// clusterForm keeps names of clusters fit for workflow IDs, paths and labels.
var clusterForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// validateScanners says what keeps scanners of others from taking part.
func (a API) validateScanners(hubs []Hub) []error {
	var wrong []error
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf("api: "+format, args...)) }
	if len(a.ScannerHubs) == 0 {
		return nil
	}
	if a.ScannerSilence < shortestSilence || a.ScannerSilence > longestSilence {
		complain("scanner-silence is %s; want %s to %s", a.ScannerSilence, shortestSilence, longestSilence)
	}
	if !nameForm.MatchString(a.ScannerDomain) {
		complain("scanner-domain %.80q: want up to 63 lower-case letters, digits and dashes", a.ScannerDomain)
	}
	if a.Generation == "old" && len(a.ScannerHubs) > 1 {
		complain("scanner-hubs names %d hubs; scanners of the first releases have one hub, and cannot learn of others", len(a.ScannerHubs))
	}
	for _, name := range a.ScannerHubs {
		i := slices.IndexFunc(hubs, func(h Hub) bool { return h.Name == name })
		switch {
		case !nameForm.MatchString(name):
			complain("scanner-hubs: %.80q is no name of a hub", name)
		case a.Generation == "old":
			// These scanners need nothing of it.
		case i < 0:
			complain("scanner-hubs: no hub %q is in hubs", name)
		case hubs[i].Username == "" || hubs[i].PasswordFile == "":
			complain("scanner-hubs: hub %q needs username and password-file, for scanners of 2018 cannot use a token", name)
		}
	}
	return wrong
}

func (r WatchedRegistry) validate() []error {
	var wrong []error
	complain := func(text string) { wrong = append(wrong, errors.New("perceiver: registry: "+text)) }
	if (r.CertFile == "") != (r.KeyFile == "") {
		complain("cert-file and key-file go together")
	}
	if (r.Username == "") != (r.PasswordFile == "") {
		complain("username and password-file go together")
	}
	if r.WalkInterval < time.Second {
		complain(fmt.Sprintf("walk-interval is %s; want at least 1s", r.WalkInterval))
	}
	return wrong
}
