package judge

import (
	"fmt"
	"strings"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/model"
)

// Records finds vulnerability records. The hub's store implements it, over the data in use.
type Records interface {
	// Source describes the data held for one ecosystem with its release, named as in osv.Key ("Debian:12", "npm").
	// Held is false when there is not one record for it; completeness is that of the whole ecosystem.
	Source(ecosystem string) (source model.DataSource, held bool, err error)
	// Records are those filed under the key, from loaded data and, where there are none loaded for the ecosystem, from the
	// sample.
	Records(key osv.Key) ([]osv.Record, error)
	// Severity is how bad a vulnerability is by any record of any package that osv.RatingOf says so of; empty when none does.
	Severity(id string) (severity model.Severity, score float64, err error)
}

// Assessment is what the records say of one component. It depends on the component, the distribution and the data only, so
// it may be kept as long as these stay the same. Its JSON is for storing.
type Assessment struct {
	// Ecosystem is where it was looked up, such as "Debian:12"; empty when it belongs to none that is known.
	Ecosystem string `json:"ecosystem,omitempty"`
	// Reason says why it is not assessed; empty when it is.
	Reason model.NotAssessedReason `json:"reason,omitempty"`
	// Detail is more about Reason for a person, such as the id of the record that could not be understood.
	Detail string `json:"detail,omitempty"`
	// Data are the data it was compared with; nil when it was not compared.
	Data *model.DataSource `json:"data,omitempty"`
	// Findings are worst first; a component that is not assessed can have some.
	Findings []osv.Finding `json:"findings,omitempty"`
}

// Assessed reports whether the component was compared with all there is.
func (a Assessment) Assessed() bool { return a.Reason == "" }

func (a Assessment) not(reason model.NotAssessedReason, detail string) Assessment {
	// The first reason is the one that a person must care about first.
	if a.Reason == "" {
		a.Reason, a.Detail = reason, detail
	}
	return a
}

// Assessor assesses components, with or without a cache.
type Assessor interface {
	// Assess never fails because of the component: an error means that the data could not be read.
	Assess(c Component, on osv.Distribution) (Assessment, error)
}

// Over is an Assessor without a cache.
func Over(records Records) Assessor { return over{records} }

type over struct{ records Records }

func (o over) Assess(c Component, on osv.Distribution) (Assessment, error) {
	return Assess(c, on, o.records)
}

// CacheKey is all that an Assessment depends on besides the data.
func CacheKey(c Component, on osv.Distribution) string {
	return strings.Join([]string{
		c.PURL, c.Version, c.Vendor, c.Commit, c.Source, c.SourceVersion, c.Modularity, on.ID, on.VersionID, on.Codename, on.Pretty, on.CPE,
	}, "\x00")
}

// Assess compares one component with the records.
func Assess(c Component, on osv.Distribution, records Records) (Assessment, error) {
	p, reason, detail := osv.Locate(osv.Subject{
		PURL: c.PURL, Version: c.Version, Source: c.Source, SourceVersion: c.SourceVersion, Modularity: c.Modularity,
	}, on)
	a := Assessment{Ecosystem: p.Ecosystem}
	if p.Ecosystem == "" || reason == model.NoData {
		return a.not(reason, detail), nil
	}
	source, held, err := records.Source(p.Ecosystem)
	if err != nil {
		return Assessment{}, fmt.Errorf("look for data of %s: %w", p.Ecosystem, err)
	}
	if !held {
		return a.not(model.NoData, "no records of "+p.Ecosystem), nil
	}
	source.Ecosystem = p.Ecosystem
	a.Data = &source
	if reason != "" {
		return a.not(reason, detail), nil
	}
	found, err := recordsOf(p, records)
	if err != nil {
		return Assessment{}, err
	}
	var unclear string
	a.Findings, unclear = p.Match(found)
	if err := lendSeverities(a.Findings, records); err != nil {
		return Assessment{}, err
	}
	switch {
	case source.Complete:
	case source.Sample && len(found) == 0:
		a = a.not(model.OnlySample, "the sample does not name it")
	case !source.Sample:
		a = a.not(model.IncompleteData, "only a part of the records of "+osv.Base(p.Ecosystem)+" is loaded")
	}
	if p.GuessedGroup && len(found) == 0 {
		a = a.not(model.NoData, "the group of the artifact is not known")
	}
	if !osv.OwnBuild(p.Ecosystem, c.Vendor, c.Version, c.Commit) {
		a = a.not(model.ForeignVendor, builtBy(c.Vendor))
	}
	if unclear != "" {
		a = a.not(model.RecordUnreadable, unclear)
	}
	return a, nil
}

func builtBy(vendor string) string {
	if vendor == "" {
		vendor = "no one named"
	}
	return fmt.Sprintf("built by %.200s", vendor)
}

func recordsOf(p osv.Package, records Records) ([]osv.Record, error) {
	var all []osv.Record
	for _, key := range p.Keys() {
		found, err := records.Records(key)
		if err != nil {
			return nil, fmt.Errorf("look for records of %s: %w", key, err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// lendSeverities asks for the severity of findings that have none under their other names.
func lendSeverities(findings []osv.Finding, records Records) error {
	for i := range findings {
		f := &findings[i]
		if f.Severity != model.SeverityUnrated {
			continue
		}
		for _, id := range append([]string{f.ID}, f.Aliases...) {
			severity, score, err := records.Severity(id)
			if err != nil {
				return fmt.Errorf("look for the severity of %s: %w", id, err)
			}
			if severity != "" && severity != model.SeverityUnrated && (f.Severity == model.SeverityUnrated || !f.Severity.AtLeast(severity)) {
				f.Severity, f.Score = severity, score
			}
		}
	}
	return nil
}
