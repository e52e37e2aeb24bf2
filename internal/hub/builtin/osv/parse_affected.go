package osv

import (
	"errors"
	"fmt"
	"strings"
)

// reduced is one affected package in the form it is kept in. Keep is false for what cannot match: another ecosystem, or
// nothing but commits.
func (p *publishedAffected) reduced(overall rating) (a Affected, keep bool, err *Error) {
	if p.Package == nil {
		// The schema allows this for source that belongs to no ecosystem; its ranges are checked all the same.
		_, err := p.ranges("")
		return Affected{}, false, err
	}
	ecosystem, name := p.Package.Ecosystem, p.Package.Name
	switch {
	case ecosystem == "":
		return Affected{}, false, invalid("package.ecosystem", "is missing")
	case name == "":
		return Affected{}, false, invalid("package.name", "is missing")
	case len(ecosystem) > maxPURLLength || len(name) > maxPURLLength:
		return Affected{}, false, invalid("package", fmt.Sprintf("a name longer than %d bytes", maxPURLLength))
	}
	for i, version := range p.Versions {
		if version == "" || len(version) > maxVersionLength {
			return Affected{}, false, invalid(fmt.Sprintf("versions[%d]", i), fmt.Sprintf("has %d bytes, want 1 to %d", len(version), maxVersionLength))
		}
	}
	a = Affected{Key: newKey(ecosystem, name), Versions: p.Versions}
	if a.Ranges, err = p.ranges(ecosystem); err != nil {
		return Affected{}, false, err
	}
	a.dropCovered()
	p.rateInto(&a, overall)
	return a, judged(ecosystem) && (len(a.Ranges) > 0 || len(a.Versions) > 0), nil
}

// rateInto gives the package a severity of its own: its vectors before the record's, its word where the record knows nothing.
func (p *publishedAffected) rateInto(a *Affected, overall rating) {
	own := vectors(p.Severity)
	if own.scale == scaleNone && overall.scale == scaleNone {
		own = word(p.Ecosystem.word).preferred(word(p.Database.word))
	}
	if own.scale != scaleNone {
		a.Severity, a.Score = own.severity, own.score
	}
}

// ranges checks every range and keeps those whose versions can be compared.
func (p *publishedAffected) ranges(ecosystem string) ([]Range, *Error) {
	var kept []Range
	for i := range p.Ranges {
		field := fmt.Sprintf("ranges[%d]", i)
		r, err := p.Ranges[i].checked()
		if err != nil {
			err.Field = field + "." + err.Field
			return nil, err
		}
		if p.Ranges[i].Type == rangeGit || !judged(ecosystem) {
			continue
		}
		if err := r.prepare(ecosystem); err != nil {
			return nil, invalid(field, problemOf(err))
		}
		if first := r.Events[0]; first.Kind != Introduced {
			return nil, invalid(field+".events", fmt.Sprintf("version %q ends what no earlier version introduced", first.Version))
		}
		kept = append(kept, r)
	}
	return kept, nil
}

// problemOf is the text of an error without the class it carries.
func problemOf(err error) string {
	var typed *Error
	if errors.As(err, &typed) && typed.Problem != "" {
		return strings.TrimSuffix(err.Error(), typed.Error()) + typed.Problem
	}
	return err.Error()
}

// The types of ranges in the schema.
const (
	rangeSemver    = "SEMVER"
	rangeEcosystem = "ECOSYSTEM"
	rangeGit       = "GIT"
)

// checked is the range with its events as published, or what is wrong with them.
func (p *publishedRange) checked() (Range, *Error) {
	switch p.Type {
	case rangeSemver, rangeEcosystem:
	case rangeGit:
		if p.Repo == "" {
			return Range{}, invalid("repo", "is missing in a range of commits")
		}
	default:
		return Range{}, invalid("type", fmt.Sprintf("%.40q is none of SEMVER, ECOSYSTEM, GIT", p.Type))
	}
	var r Range
	introduced := false
	for i := range p.Events {
		e, problem := p.Events[i].event()
		if problem != "" {
			return Range{}, invalid(fmt.Sprintf("events[%d]", i), problem)
		}
		introduced = introduced || e.Kind == Introduced
		r.Events = append(r.Events, e)
	}
	if !introduced {
		return Range{}, invalid("events", "none of them is introduced")
	}
	return r, nil
}

// event is the one thing that happens here, or what is wrong.
func (p *publishedEvent) event() (Event, string) {
	var found []Event
	for _, each := range []struct {
		kind    EventKind
		version *string
	}{{Introduced, p.Introduced}, {Fixed, p.Fixed}, {LastAffected, p.LastAffected}, {Limit, p.Limit}} {
		if each.version != nil {
			found = append(found, Event{Kind: each.kind, Version: *each.version})
		}
	}
	switch {
	case len(found) != 1:
		return Event{}, fmt.Sprintf("has %d of introduced, fixed, last_affected and limit, want one", len(found))
	case found[0].Version == "":
		return Event{}, "has an empty version"
	}
	return found[0], ""
}
