package model

import "time"

// Counts is how many of something there are of each severity.
type Counts struct {
	Critical int `json:"critical"`
	High     int `json:"high"`
	Medium   int `json:"medium"`
	Low      int `json:"low"`
	Unrated  int `json:"unrated"`
}

// Add counts one more.
func (c *Counts) Add(s Severity) {
	switch s {
	case SeverityCritical:
		c.Critical++
	case SeverityHigh:
		c.High++
	case SeverityMedium:
		c.Medium++
	case SeverityLow:
		c.Low++
	default:
		c.Unrated++
	}
}

// AddAll adds other counts to these.
func (c *Counts) AddAll(other Counts) {
	c.Critical += other.Critical
	c.High += other.High
	c.Medium += other.Medium
	c.Low += other.Low
	c.Unrated += other.Unrated
}

// Total is the sum over all severities.
func (c Counts) Total() int { return c.Critical + c.High + c.Medium + c.Low + c.Unrated }

// Verdict is what one hub says of one image. It carries counts and links; findings stay at the hub.
type Verdict struct {
	// Hub is the configured name of the hub.
	Hub              string        `json:"hub"`
	OverallStatus    OverallStatus `json:"overallStatus"`
	PolicyViolations int           `json:"policyViolations"`
	// Vulnerabilities counts components by their worst vulnerability, as the hub's risk profile does.
	Vulnerabilities Counts `json:"vulnerabilities"`
	// Findings is the number of pairs of a component and a vulnerability of it.
	Findings int `json:"findings"`
	// Components is the number of components the hub knows the image to hold.
	Components int `json:"components"`
	// NotAssessed counts components the hub has no vulnerability data for; they are not clean, only unjudged.
	NotAssessed int `json:"notAssessed"`
	// Coverage says what was assessed, and against which data.
	Coverage Coverage `json:"coverage,omitzero"`
	// VersionURL is the hub's project version: the key for refreshing this verdict.
	VersionURL string `json:"versionURL,omitempty"`
	// ComponentsURL is where a person reads the components.
	ComponentsURL string `json:"componentsURL,omitempty"`
	// JudgedAt is the hub's own time of the judgement; later judgements replace earlier ones.
	JudgedAt time.Time `json:"judgedAt"`
	// ReadAt is the hub's own time when it gave this answer; zero when it is not known.
	ReadAt time.Time `json:"readAt,omitzero"`
	// ScanStarted is when Perceptor began the scan behind it; it breaks ties of JudgedAt.
	ScanStarted time.Time `json:"scanStarted"`
	// SkippedHubs names hubs that could not be asked whether they knew the image.
	SkippedHubs []string `json:"skippedHubs,omitempty"`
}

// Newer reports whether v may replace old: by the hub's own time, then by the start of the scan.
func (v Verdict) Newer(old Verdict) bool {
	if !v.JudgedAt.Equal(old.JudgedAt) {
		return v.JudgedAt.After(old.JudgedAt)
	}
	return !v.ScanStarted.Before(old.ScanStarted)
}

// AsOf is the hub's time up to which the verdict holds whatever has happened there.
func (v Verdict) AsOf() time.Time {
	if v.ReadAt.After(v.JudgedAt) {
		return v.ReadAt
	}
	return v.JudgedAt
}

// Finding is one vulnerability of one component.
type Finding struct {
	ID       string   `json:"id"`
	Aliases  []string `json:"aliases,omitempty"`
	Severity Severity `json:"severity"`
	// Score is the CVSS base score from 0 to 10; 0 when unrated.
	Score   float64 `json:"score,omitempty"`
	Package string  `json:"package"`
	Version string  `json:"version"`
	PURL    string  `json:"purl,omitempty"`
	// Fixed is the lowest version that is not affected; empty when none is known.
	Fixed string `json:"fixed,omitempty"`
	// Remediation is the hub's own state of handling, such as NEW, IGNORED or PATCHED.
	Remediation string `json:"remediation,omitempty"`
	URL         string `json:"url,omitempty"`
}

// FindingsPage is one page of an image's findings at a hub.
type FindingsPage struct {
	Total    int       `json:"total"`
	Offset   int       `json:"offset"`
	Findings []Finding `json:"findings"`
}
