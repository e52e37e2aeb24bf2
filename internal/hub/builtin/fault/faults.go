package fault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/perceptor/perceptor/internal/hub/builtin/rest"
)

// Name is one switch.
type Name string

// The switches. Those on requests act in this order, and a request that one of them answers does nothing else.
const (
	// Dead ends requests without an answer.
	Dead Name = "dead"
	// Latency holds requests up for Min to Max.
	Latency Name = "latency"
	// Throttle answers 429, Fail answers Status, or 503.
	Throttle Name = "throttle"
	Fail     Name = "fail"
	// HTML answers 200 with a page, as proxies do; Empty answers 200 with nothing.
	HTML  Name = "html"
	Empty Name = "empty"

	// Capacity answers 429 to uploads while Scans of them are in progress.
	Capacity Name = "capacity"
	// Drop accepts an upload and cuts the connection instead of answering.
	Drop Name = "drop"
	// Lose accepts an upload, and deletes its scan when that should be done; a code location left without scans goes too.
	Lose Name = "lose"
	// Stuck lets scans stay in progress for as long as the switch is there, also when its Count is used up.
	Stuck Name = "stuck"
	// Slow lets scans take Min to Max in place of the hub's own time. The seed and the scan's name give the time, so a
	// name has the same time in every run of the same seed.
	Slow Name = "slow"

	// Generation lets the hub speak the form of the API that Is names. The old one has no token login, no
	// latest-scan-summary, no bom-status and no scan-readiness, answers plain JSON and says it is version 4.8.3; uploads of
	// documents stay, since nothing else could be scanned.
	Generation Name = "generation"
)

// Switch is how one switch stands. Which parameters it takes is in the table below; the others must be left out.
type Switch struct {
	// For ends the switch by itself; 0 means never.
	For Duration `json:"for,omitempty"`
	// Share is the part that is hit, above 0 and up to 1; nil means all.
	Share *float64 `json:"share,omitempty"`
	// Count ends the switch after so many hits; 0 means no bound.
	Count int `json:"count,omitempty"`
	// On are the classes of requests it is about; none means all.
	On []rest.PathClass `json:"on,omitempty"`
	// Min and Max bound a time, both included.
	Min Duration `json:"min,omitempty"`
	Max Duration `json:"max,omitempty"`
	// RetryAfter is sent as the header of that name, in whole seconds; 0 sends none. AsDate writes it as a date.
	RetryAfter Duration `json:"retryAfter,omitempty"`
	AsDate     bool     `json:"asDate,omitempty"`
	// Status is 500 to 599.
	Status int `json:"status,omitempty"`
	// Scans is at least 1.
	Scans int `json:"scans,omitempty"`
	// Is is "old" or "current".
	Is string `json:"is,omitempty"`
}

// Faults are all switches: those that are left out are off.
type Faults struct {
	// Seed begins the draws of shares and times; 0 counts as 1.
	Seed     uint64          `json:"seed,omitempty"`
	Switches map[Name]Switch `json:"switches"`
}

// The generations of the API, and what current-version answers in the old one: a hub of 2018.
const (
	generationOld     = "old"
	generationCurrent = "current"
	oldVersion        = "4.8.3"
)

// longestFault bounds Max: a year is longer than any rehearsal.
const longestFault = Duration(365 * 24 * time.Hour)

// takes says which parameters each switch takes besides for.
var takes = map[Name][]string{
	Dead:       {"share", "count", "on"},
	Latency:    {"share", "count", "on", "min", "max"},
	Throttle:   {"share", "count", "on", "retryAfter", "asDate"},
	Fail:       {"share", "count", "on", "retryAfter", "asDate", "status"},
	HTML:       {"share", "count", "on"},
	Empty:      {"share", "count", "on"},
	Capacity:   {"retryAfter", "asDate", "scans"},
	Drop:       {"share", "count"},
	Lose:       {"share", "count"},
	Stuck:      {"share", "count"},
	Slow:       {"share", "count", "min", "max"},
	Generation: {"is"},
}

// Parse reads switches from JSON and refuses what makes no sense; every wrong switch is named.
func Parse(text []byte) (Faults, error) {
	var f Faults
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&f); err != nil {
		return Faults{}, fmt.Errorf(`want {"seed":1,"switches":{"throttle":{"share":0.5}}}: %w`, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Faults{}, errors.New("something follows the JSON object")
	}
	return f, f.check()
}

func (f Faults) check() error {
	var wrong []error
	for _, name := range slices.Sorted(maps.Keys(f.Switches)) {
		if _, known := takes[name]; !known {
			wrong = append(wrong, fmt.Errorf("there is no switch %.40q: want some of %v", name, slices.Sorted(maps.Keys(takes))))
			continue
		}
		if err := f.Switches[name].check(name); err != nil {
			wrong = append(wrong, fmt.Errorf("switch %s: %w", name, err))
		}
	}
	return errors.Join(wrong...)
}

// check finds what is wrong with the switch of that name.
func (f Switch) check(name Name) error {
	allowed := takes[name]
	for parameter, given := range map[string]bool{
		"share": f.Share != nil, "count": f.Count != 0, "on": len(f.On) > 0, "min": f.Min != 0, "max": f.Max != 0,
		"retryAfter": f.RetryAfter != 0, "asDate": f.AsDate, "status": f.Status != 0, "scans": f.Scans != 0, "is": f.Is != "",
	} {
		if given && !slices.Contains(allowed, parameter) {
			return fmt.Errorf("it takes no %s, only for %v", parameter, allowed)
		}
	}
	needs := func(parameter string) bool { return slices.Contains(allowed, parameter) }
	switch {
	case f.For < 0:
		return fmt.Errorf("for is %s: want 0 for no end, or more", f.For)
	case f.Share != nil && (*f.Share <= 0 || *f.Share > 1):
		return fmt.Errorf("share is %g: want more than 0 and at most 1; leave the switch out to switch it off", *f.Share)
	case f.Count < 0:
		return fmt.Errorf("count is %d: want 0 for no bound, or more", f.Count)
	case needs("max") && (f.Min < 0 || f.Max < f.Min || f.Max == 0 || f.Max > longestFault):
		return fmt.Errorf("min is %s and max is %s: want 0 <= min <= max, and max above 0 and at most %s", f.Min, f.Max, longestFault)
	case f.RetryAfter < 0 || time.Duration(f.RetryAfter)%time.Second != 0:
		return fmt.Errorf("retryAfter is %s: want whole seconds", f.RetryAfter)
	case f.AsDate && f.RetryAfter == 0:
		return errors.New("asDate without retryAfter: say how far away the date is")
	case f.Status != 0 && (f.Status < 500 || f.Status > 599):
		return fmt.Errorf("status is %d: want 500 to 599", f.Status)
	case needs("scans") && f.Scans < 1:
		return fmt.Errorf("scans is %d: want at least 1", f.Scans)
	case needs("is") && f.Is != generationOld && f.Is != generationCurrent:
		return fmt.Errorf("is %.40q: want %s or %s", f.Is, generationOld, generationCurrent)
	}
	for _, class := range f.On {
		if !slices.Contains(rest.PathClasses, class) {
			return fmt.Errorf("on %.40q: want some of %v", class, rest.PathClasses)
		}
	}
	return nil
}

// retryHeader is the value of Retry-After; empty for none.
func (f Switch) retryHeader(now time.Time) string {
	switch {
	case f.RetryAfter == 0:
		return ""
	case f.AsDate:
		return now.Add(time.Duration(f.RetryAfter)).UTC().Format(http.TimeFormat)
	default:
		return strconv.FormatInt(int64(time.Duration(f.RetryAfter)/time.Second), 10)
	}
}

// Duration is a time.Duration that JSON writes like "1.5s".
type Duration time.Duration

func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText writes Go's form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads Go's form.
func (d *Duration) UnmarshalText(text []byte) error {
	read, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%.40q is not a duration: write it like 1.5s or 2m", text)
	}
	*d = Duration(read)
	return nil
}
