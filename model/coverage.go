package model

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Coverage says what a verdict rests on: which components of the image were assessed, and against which data. A green
// verdict without it means nothing.
//
// Every component is counted once: Components = Assessed + OwnSoftware + the components under NotAssessed.
type Coverage struct {
	// Components is the number of components that were found in the image.
	Components int `json:"components"`
	// Assessed components have a readable version and were compared with complete data of their ecosystem and release.
	Assessed int `json:"assessed"`
	// OwnSoftware counts components that the image's owner wrote, such as the main module of a Go program. They were looked
	// up too; no one publishes records about them, so they do not count as not assessed.
	OwnSoftware int `json:"ownSoftware,omitempty"`
	// NotAssessed says why the others were not assessed, in the order of NotAssessedReasons. Each reason stands once.
	NotAssessed []NotAssessed `json:"notAssessed,omitempty"`
	// Permitted is how many of those under NotAssessed the policy allows to be left out.
	Permitted int `json:"permitted,omitempty"`
	// NeedsRating counts findings that have neither a severity nor a fix. A person must rate them.
	NeedsRating int `json:"needsRating,omitempty"`
	// Data are the data that were used, one entry for each ecosystem, sorted by ecosystem.
	Data []DataSource `json:"data,omitempty"`
	// ManagedByHub says that the hub does not report coverage for each component and vouches for its data itself.
	ManagedByHub bool `json:"managedByHub,omitempty"`
	// ValidUntil is when a green verdict ends: the time of the oldest data plus the policy's validity, or ExceptionsEnd where
	// that is earlier. Zero means that the hub manages the age of its data.
	ValidUntil time.Time `json:"validUntil,omitzero"`
	// ExceptionsEnd is when the first exception ends that keeps the verdict from being IN_VIOLATION; zero when none ends.
	ExceptionsEnd time.Time `json:"exceptionsEnd,omitzero"`
	// Satisfied says that the coverage meets the policy. Only then can a verdict be NOT_IN_VIOLATION.
	Satisfied bool `json:"satisfied"`
	// Reason says why the policy is not met, as text for a person; empty when Satisfied.
	Reason string `json:"reason,omitempty"`
}

// NotAssessed is one reason with the number of components (of files, for FileUnreadable) that it holds for.
type NotAssessed struct {
	Reason NotAssessedReason `json:"reason"`
	Count  int               `json:"count"`
}

// NotAssessedReason is why a component was not assessed. The values are what lists and the API show.
type NotAssessedReason string

// The reasons.
const (
	// NoData: there are no data for the component's ecosystem, or none for the release of its distribution.
	NoData NotAssessedReason = "no data for ecosystem or release"
	// DataLoading: the data of the component's ecosystem are being loaded. The image is judged again when they are there.
	DataLoading NotAssessedReason = "data is being loaded"
	// OnlySample: there are only sample data, and the sample does not name the package.
	OnlySample NotAssessedReason = "only sample data"
	// IncompleteData: there are data for the ecosystem, but they are not all of it.
	IncompleteData NotAssessedReason = "incomplete data"
	// VersionUnreadable: the component has no version, or one that its ecosystem cannot order.
	VersionUnreadable NotAssessedReason = "version unreadable"
	// RecordUnreadable: a published record about this package could not be understood in full.
	RecordUnreadable NotAssessedReason = "record unreadable"
	// FileUnreadable: a file that lists packages is in the image and could not be read.
	FileUnreadable NotAssessedReason = "file unreadable"
	// DataUndated: another scanner judged the component, and it is not known who, or of when its data are.
	DataUndated NotAssessedReason = "scanner data without a date"
	// NothingRecognized: no package was recognized in the image.
	NothingRecognized NotAssessedReason = "nothing recognised in the image"
	// ReleaseUnsupported: the distribution no longer publishes fixes for the release, so missing records prove nothing.
	ReleaseUnsupported NotAssessedReason = "release past its support"
	// ForeignVendor: a distribution package that another vendor built; the distribution's records do not cover it.
	ForeignVendor NotAssessedReason = "package of another vendor"
)

// NotAssessedReasons lists every reason in the order in which they are shown.
var NotAssessedReasons = []NotAssessedReason{
	NothingRecognized, FileUnreadable, NoData, DataLoading, OnlySample, IncompleteData, DataUndated, VersionUnreadable, RecordUnreadable,
	ReleaseUnsupported, ForeignVendor,
}

// DataSource is where the vulnerability data of one ecosystem came from and how old they are.
type DataSource struct {
	// Ecosystem is OSV's name with the release, such as "Debian:12" or "npm".
	Ecosystem string `json:"ecosystem"`
	// Source is the address or directory that the data were read from, without a login.
	Source string `json:"source"`
	// AsOf is the last time at which the data were checked against their source.
	AsOf time.Time `json:"asOf"`
	// Complete says that the data are everything that is published for the ecosystem.
	Complete bool `json:"complete"`
	// Sample says that the data are the demonstration records that are part of the program.
	Sample bool `json:"sample,omitempty"`
}

// The default ages of vulnerability data; a policy can set others.
const (
	// DataValidFor is how long after DataSource.AsOf a green verdict holds.
	DataValidFor = 14 * 24 * time.Hour
	// DataWarnAfter is the age of data from which views warn.
	DataWarnAfter = 3 * 24 * time.Hour
)

// Unassessed is the number of components and unreadable files that were not assessed, whatever the policy allows.
func (c Coverage) Unassessed() int {
	n := 0
	for _, each := range c.NotAssessed {
		n += each.Count
	}
	return n
}

// Leave counts one more that was not assessed.
func (c *Coverage) Leave(reason NotAssessedReason, count int) {
	if count <= 0 {
		return
	}
	rank := func(r NotAssessedReason) int { return slices.Index(NotAssessedReasons, r) }
	at, found := slices.BinarySearchFunc(c.NotAssessed, reason, func(each NotAssessed, r NotAssessedReason) int { return rank(each.Reason) - rank(r) })
	if !found {
		c.NotAssessed = slices.Insert(c.NotAssessed, at, NotAssessed{Reason: reason})
	}
	c.NotAssessed[at].Count += count
}

// AsOf is the time of the oldest data that were used; zero when there were none.
func (c Coverage) AsOf() time.Time {
	var oldest time.Time
	for _, each := range c.Data {
		if oldest.IsZero() || each.AsOf.Before(oldest) {
			oldest = each.AsOf
		}
	}
	return oldest
}

// Sample reports whether any of the data were sample data.
func (c Coverage) Sample() bool {
	return slices.ContainsFunc(c.Data, func(d DataSource) bool { return d.Sample })
}

// Summary is the coverage as lists need it.
func (c Coverage) Summary() CoverageSummary {
	return CoverageSummary{
		Components: c.Components, Assessed: c.Assessed, OwnSoftware: c.OwnSoftware, Unassessed: c.Unassessed(), ManagedByHub: c.ManagedByHub, Sample: c.Sample(),
		Satisfied: c.Satisfied, Reason: c.Reason, AsOf: c.AsOf(), ValidUntil: c.ValidUntil, ExceptionsEnd: c.ExceptionsEnd,
	}
}

// CoverageSummary is a Coverage without its details, small enough to be kept for everything that runs an image.
type CoverageSummary struct {
	Components   int       `json:"components"`
	Assessed     int       `json:"assessed"`
	OwnSoftware  int       `json:"ownSoftware,omitempty"`
	Unassessed   int       `json:"unassessed,omitempty"`
	ManagedByHub bool      `json:"managedByHub,omitempty"`
	Sample       bool      `json:"sample,omitempty"`
	Satisfied    bool      `json:"satisfied"`
	Reason       string    `json:"reason,omitempty"`
	AsOf         time.Time `json:"asOf,omitzero"`
	ValidUntil   time.Time `json:"validUntil,omitzero"`
	// ExceptionsEnd is Coverage.ExceptionsEnd.
	ExceptionsEnd time.Time `json:"exceptionsEnd,omitzero"`
}

// CoverageOf is the coverage of one image by the verdicts of all its hubs; zero without a verdict.
func CoverageOf(verdicts []Verdict) CoverageSummary {
	byAge := slices.Clone(verdicts)
	slices.SortStableFunc(byAge, func(a, b Verdict) int { return a.JudgedAt.Compare(b.JudgedAt) })
	var all CoverageSummary
	for at, v := range byAge {
		if at == 0 {
			all = v.Coverage.Summary()
			continue
		}
		all = all.Merge(v.Coverage.Summary())
	}
	return all
}

// Merge is the coverage of one image that two hubs judged: the newer one's counts, the earlier end, and satisfied only
// when both are.
func (c CoverageSummary) Merge(newer CoverageSummary) CoverageSummary {
	merged := newer
	merged.Sample = c.Sample || newer.Sample
	if !c.Satisfied {
		merged.Satisfied = false
		if newer.Satisfied {
			merged.Reason = c.Reason
		}
	}
	merged.AsOf, merged.ValidUntil = earlier(c.AsOf, newer.AsOf), earlier(c.ValidUntil, newer.ValidUntil)
	merged.ExceptionsEnd = earlier(c.ExceptionsEnd, newer.ExceptionsEnd)
	return merged
}

// earlier is the earlier of two times, where a zero one stands for none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// ReasonAt is why a verdict with this coverage cannot be green at a time; empty when it can.
func (c CoverageSummary) ReasonAt(now time.Time) string {
	switch {
	case c.Reason != "":
		return c.Reason
	case !c.Satisfied:
		return "no coverage is known"
	case !c.ExceptionsEnd.IsZero() && !now.Before(c.ExceptionsEnd):
		return "an exception ended on " + c.ExceptionsEnd.UTC().Format(time.RFC3339)
	case c.expired(now):
		return "vulnerability data expired on " + c.ValidUntil.UTC().Format(time.RFC3339)
	}
	return ""
}

// Short is the coverage for a narrow column whose title says "assessed", such as "118 of 120, demo data".
func (c CoverageSummary) Short() string {
	text := fmt.Sprintf("%d of %d", c.Assessed, c.Components-c.OwnSoftware)
	if c.ManagedByHub {
		text = fmt.Sprintf("%d, by hub", c.Components)
	}
	if c.Sample {
		text += ", demo data"
	}
	return text
}

// Text is the coverage in a few words, such as "118 of 120 assessed", for a column of a list.
func (c CoverageSummary) Text() string {
	var words []string
	switch {
	case c.ManagedByHub:
		words = append(words, fmt.Sprintf("%d components, data age managed by hub", c.Components))
	default:
		words = append(words, fmt.Sprintf("%d of %d assessed", c.Assessed, c.Components-c.OwnSoftware))
	}
	if c.Sample {
		words = append(words, "demo data")
	}
	return strings.Join(words, ", ")
}

// end is when a green verdict ends; zero when it does not.
func (c CoverageSummary) end() time.Time { return earlier(c.ValidUntil, c.ExceptionsEnd) }

func (c CoverageSummary) expired(now time.Time) bool {
	end := c.end()
	return !end.IsZero() && !now.Before(end)
}

// effective is a status as it holds at a time: what is green needs coverage that satisfies the policy and has not expired.
// An accepted violation is as good as green here.
func (c CoverageSummary) effective(status OverallStatus, now time.Time) OverallStatus {
	switch status {
	case InViolation:
		return status
	case NotInViolation, InViolationOverridden:
		if c.Satisfied && !c.expired(now) {
			return status
		}
	}
	return OverallUnknown
}

// EffectiveStatus is the status as it holds at a time: a green verdict whose data expired is UNKNOWN, without a new scan.
func (v Verdict) EffectiveStatus(now time.Time) OverallStatus {
	return v.Coverage.Summary().effective(v.OverallStatus, now)
}

// EffectiveStatus is the status as it holds at a time: a green one whose data expired is UNKNOWN, without a new scan.
func (s Summary) EffectiveStatus(now time.Time) OverallStatus {
	return s.Coverage.effective(s.OverallStatus, now)
}

// EffectiveStatus is the worst status of the containers as it holds at a time; UNKNOWN without containers.
func (p PodVerdict) EffectiveStatus(now time.Time) OverallStatus {
	if len(p.Containers) == 0 {
		return p.OverallStatus
	}
	status := NotInViolation
	for _, c := range p.Containers {
		status = status.Worst(c.Image.EffectiveStatus(now))
	}
	return status
}

// ValidUntil is the earliest end of a container's green verdict; zero when none ends. A writer of marks looks again then.
func (p PodVerdict) ValidUntil() time.Time {
	var first time.Time
	for _, c := range p.Containers {
		if c.Image.OverallStatus == NotInViolation || c.Image.OverallStatus == InViolationOverridden {
			first = earlier(first, c.Image.Coverage.end())
		}
	}
	return first
}

// At is the verdict as it holds at a time: with its EffectiveStatus, and where the data expired with that as the reason.
func (v Verdict) At(now time.Time) Verdict {
	summary := v.Coverage.Summary().at(now)
	v.OverallStatus, v.Coverage.Satisfied, v.Coverage.Reason = v.EffectiveStatus(now), summary.Satisfied, summary.Reason
	return v
}

// At is the summary as it holds at a time: with its EffectiveStatus, and where the data expired with that as the reason.
func (s Summary) At(now time.Time) Summary {
	s.OverallStatus = s.EffectiveStatus(now)
	if !s.JudgedAt.IsZero() || s.Coverage != (CoverageSummary{}) {
		s.Coverage = s.Coverage.at(now)
	}
	return s
}

// At is the row as it holds at a time, with every container's summary. Every view and every writer of marks shows this.
func (p PodVerdict) At(now time.Time) PodVerdict {
	p.OverallStatus = p.EffectiveStatus(now)
	containers := make([]ContainerVerdict, len(p.Containers))
	for i, c := range p.Containers {
		c.Image = c.Image.At(now)
		containers[i] = c
	}
	p.Containers = containers
	return p
}

func (c CoverageSummary) at(now time.Time) CoverageSummary {
	c.Reason = c.ReasonAt(now)
	c.Satisfied = c.Satisfied && c.Reason == ""
	return c
}
