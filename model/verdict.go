package model

import (
	"net/url"
	"slices"
	"time"
)

// OverallStatus is a hub's judgement by its policies, in the hub's own words; OverallUnknown where something is not scanned.
type OverallStatus string

// The overall statuses. InViolationOverridden means that someone has accepted the violation at the hub.
const (
	OverallUnknown        OverallStatus = "UNKNOWN"
	NotInViolation        OverallStatus = "NOT_IN_VIOLATION"
	InViolation           OverallStatus = "IN_VIOLATION"
	InViolationOverridden OverallStatus = "IN_VIOLATION_OVERRIDDEN"
)

// unrecognisedStatusRank treats a word that no hub has used so far like Unknown.
const unrecognisedStatusRank = 2

// rank orders statuses from best to worst. Unknown is worse than clean, so that "not scanned" is never shown as
// clean, and better than a violation, so that a known violation is never hidden by something unscanned beside it.
var rank = map[OverallStatus]int{NotInViolation: 0, InViolationOverridden: 1, OverallUnknown: 2, InViolation: 3}

// Worst is the worse of two statuses. From best to worst: NotInViolation, InViolationOverridden, OverallUnknown, InViolation.
func (s OverallStatus) Worst(t OverallStatus) OverallStatus {
	if t.rank() > s.rank() {
		return t
	}
	return s
}

func (s OverallStatus) rank() int {
	if r, ok := rank[s]; ok {
		return r
	}
	return unrecognisedStatusRank
}

// Severity of a vulnerability, in the words of CVSS. Unrated means that no source gave one.
type Severity string

// The severities.
const (
	SeverityCritical Severity = "CRITICAL"
	SeverityHigh     Severity = "HIGH"
	SeverityMedium   Severity = "MEDIUM"
	SeverityLow      Severity = "LOW"
	SeverityUnrated  Severity = "UNRATED"
)

// Severities lists every severity, worst first.
var Severities = []Severity{SeverityCritical, SeverityHigh, SeverityMedium, SeverityLow, SeverityUnrated}

// AtLeast reports whether s is as bad as bar or worse. Unrated is the least bad.
func (s Severity) AtLeast(bar Severity) bool {
	for _, each := range Severities {
		if each == s {
			return true
		}
		if each == bar {
			return false
		}
	}
	return false
}

// Counts is a number of things of each severity.
type Counts struct {
	Critical int `json:"critical"`
	High     int `json:"high"`
	Medium   int `json:"medium"`
	Low      int `json:"low"`
	Unrated  int `json:"unrated"`
}

// Add counts one more of a severity. An unknown severity counts as unrated.
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
	// Vulnerabilities counts vulnerable components, not findings: each component once, by its worst vulnerability, as the hub's risk profile does.
	Vulnerabilities Counts `json:"vulnerabilities"`
	// Findings is the number of pairs of a component and a vulnerability of it.
	Findings int `json:"findings"`
	// FindingCounts are the findings by severity; zero where the hub does not count them so.
	FindingCounts Counts `json:"findingCounts,omitzero"`
	// Components is the number of components the hub knows the image to hold.
	Components int `json:"components"`
	// NotAssessed counts components for which the hub has no vulnerability data. They are not clean, only not judged.
	NotAssessed int `json:"notAssessed"`
	// Coverage says what was assessed, and against which data.
	Coverage Coverage `json:"coverage,omitzero"`
	// VersionURL is the hub's project version: the key for refreshing this verdict.
	VersionURL string `json:"versionURL,omitempty"`
	// ComponentsURL is where a person reads the components.
	ComponentsURL string `json:"componentsURL,omitempty"`
	// JudgedAt is when the hub judged, by the hub's clock. A later judgement replaces an earlier one.
	JudgedAt time.Time `json:"judgedAt"`
	// ReadAt is when the hub gave this answer, by the hub's clock; zero when it is not known.
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

// AsOf is the time, by the hub's clock, up to which the verdict reflects every change at the hub.
func (v Verdict) AsOf() time.Time {
	if v.ReadAt.After(v.JudgedAt) {
		return v.ReadAt
	}
	return v.JudgedAt
}

// Finding is one vulnerability of one component.
type Finding struct {
	// ID is the hub's name of the vulnerability, such as CVE-2021-44228; Aliases are other names of it.
	ID       string   `json:"id"`
	Aliases  []string `json:"aliases,omitempty"`
	Severity Severity `json:"severity"`
	// Score is the CVSS base score from 0 to 10; 0 when unrated.
	Score float64 `json:"score,omitempty"`
	// Package, Version and PURL name the component.
	Package string `json:"package"`
	Version string `json:"version"`
	PURL    string `json:"purl,omitempty"`
	// Fixed is the lowest version that is not affected; empty when none is known.
	Fixed string `json:"fixed,omitempty"`
	// Remediation is the hub's own state of handling, such as NEW, IGNORED or PATCHED.
	Remediation string `json:"remediation,omitempty"`
	URL         string `json:"url,omitempty"`
	// NeedsRating says that it has neither a severity nor a fix, so that no rule can judge it: a person must rate it.
	NeedsRating bool `json:"needsRating,omitempty"`
	// Exception says who accepted it and why; nil when no one did, or when the hub does not say so.
	Exception *FindingException `json:"exception,omitempty"`
}

// FindingException is why a finding does not count. The finding stays visible.
type FindingException struct {
	// Stance is accepted (by a person), not_affected or fixed (by a VEX document).
	Stance string `json:"stance,omitempty"`
	Reason string `json:"reason"`
	Author string `json:"author,omitempty"`
	// Until is when it ends; zero when it has no end.
	Until time.Time `json:"until,omitzero"`
	// Origin is where it stands at the hub: the name of a document, or "policy".
	Origin string `json:"origin,omitempty"`
}

// dealtWith are the hub's words for findings that a person has decided about.
var dealtWith = []string{"IGNORED", "PATCHED", "MITIGATED", "REMEDIATION_COMPLETE", "DUPLICATE"}

// DealtWith reports whether a person has decided about the finding, so that it reaches no bar.
func (f Finding) DealtWith() bool {
	return f.Exception != nil || slices.Contains(dealtWith, f.Remediation)
}

// FindingsPage is one page of an image's findings at a hub.
type FindingsPage struct {
	// Total is how many findings the hub has; Offset is how many stand before this page.
	Total    int       `json:"total"`
	Offset   int       `json:"offset"`
	Findings []Finding `json:"findings"`
}

// HubChangeKind is what happened to a project version at a hub.
type HubChangeKind string

// The kinds. After each but HubChangeRemoved the verdict has to be read again; after HubChangeRemoved there is none any more.
const (
	HubChangeVulnerability HubChangeKind = "vulnerability"
	HubChangePolicy        HubChangeKind = "policy"
	HubChangeBOM           HubChangeKind = "bom"
	HubChangeRemoved       HubChangeKind = "removed"
)

// HubChange says that something happened to a project version at a hub.
type HubChange struct {
	// VersionURL is the hub's address of the project version.
	VersionURL string        `json:"versionURL"`
	Kind       HubChangeKind `json:"kind"`
	// At is the hub's time of the newest such event.
	At time.Time `json:"at"`
}

// VersionKey is the path of a project version's address, without the name of the hub's host, which may change.
func VersionKey(versionURL string) string {
	u, err := url.Parse(versionURL)
	if err != nil || u.Path == "" {
		return versionURL
	}
	return u.Path
}
