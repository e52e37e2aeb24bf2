package osv

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// reduced is one affected package in the form it is kept in. Keep is false for what cannot match: an ecosystem that is not
// judged, or nothing but commits.
func (p *publishedAffected) reduced(r *Record, at int, overall rating, module string) (a Affected, keep bool) {
	field := fmt.Sprintf("affected[%d]", at)
	if p.Package == nil {
		// The schema allows this for source that belongs to no ecosystem.
		return Affected{}, false
	}
	name := p.Package.Name
	if problem := checkName(p.Package.Ecosystem, name); problem != "" {
		r.problem(field+".package", problem)
		return Affected{}, false
	}
	ecosystem, judged := normalized(p.Package.Ecosystem)
	if !judged {
		return Affected{}, false
	}
	a = Affected{Key: newKey(ecosystem, name)}
	unclear := func(part, problem string) {
		if a.Unclear == "" {
			a.Unclear = part + ": " + problem
		}
		r.problem(field+"."+part, problem)
	}
	for i, version := range p.Versions {
		if version == "" || len(version) > maxVersionLength {
			unclear(fmt.Sprintf("versions[%d]", i), fmt.Sprintf("has %d bytes, want 1 to %d", len(version), maxVersionLength))
			continue
		}
		a.Versions = append(a.Versions, version)
	}
	for i := range p.Ranges {
		if p.Ranges[i].Type == rangeGit {
			continue
		}
		kept, usable := p.Ranges[i].understood(ecosystem, func(part, problem string) { unclear(fmt.Sprintf("ranges[%d]%s", i, part), problem) })
		if usable {
			a.Ranges = append(a.Ranges, kept)
		}
	}
	a.dropCovered()
	a.Module = a.moduleFor(module)
	p.rateInto(&a, overall)
	return a, len(a.Ranges) > 0 || len(a.Versions) > 0 || a.Unclear != ""
}

func checkName(ecosystem, name string) string {
	switch {
	case ecosystem == "":
		return "has no ecosystem"
	case name == "":
		return "has no name"
	case len(ecosystem) > maxPURLLength || len(name) > maxPURLLength:
		return fmt.Sprintf("a name longer than %d bytes", maxPURLLength)
	}
	return ""
}

// moduleFor is the RPM module that the package belongs to: "*" for one that is not known, empty for none.
func (a *Affected) moduleFor(module string) string {
	if ecosystems[Base(a.Ecosystem)].scheme != schemeRPM {
		return ""
	}
	for _, r := range a.Ranges {
		for _, e := range r.Events {
			if isModular(e.Version) {
				if module == "" {
					return anyModule
				}
				return module
			}
		}
	}
	return ""
}

// anyModule stands for a module whose name is not known.
const anyModule = "*"

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

// understood is the range as far as its events make sense, in the order of their versions. What does not make sense is
// reported and left out together with the stretch of versions that it begins or ends, so that nothing is claimed that the
// record may not have meant. Usable is false when nothing is left.
func (p *publishedRange) understood(ecosystem string, odd func(part, problem string)) (r Range, usable bool) {
	if p.Type != rangeSemver && p.Type != rangeEcosystem {
		odd(".type", fmt.Sprintf("%.40q is none of SEMVER, ECOSYSTEM, GIT", p.Type))
		return Range{}, false
	}
	skipping := false
	for i := range p.Events {
		e, problem := p.Events[i].event()
		if problem == "" {
			problem = e.prepare(ecosystem)
		}
		if problem == "" {
			if skipping && e.Kind == Introduced {
				skipping = false
			}
			if !skipping || e.Kind == Limit {
				r.Events = append(r.Events, e)
			}
			continue
		}
		odd(fmt.Sprintf(".events[%d]", i), problem)
		skipping = true
		if e.Kind != Introduced {
			r.dropLastStretch()
		}
	}
	r.sort()
	first := 0
	for first < len(r.Events) && r.Events[first].Kind != Introduced {
		first++
	}
	switch {
	case first == len(r.Events) && !skipping:
		odd(".events", "none of them is introduced")
	case first > 0 && first < len(r.Events):
		odd(".events", fmt.Sprintf("version %q ends what no earlier version introduced", r.Events[0].Version))
	}
	r.Events = r.Events[first:]
	return r, len(r.Events) > 0
}

// dropLastStretch removes the last introduced event and what follows it.
func (r *Range) dropLastStretch() {
	for i, event := range slices.Backward(r.Events) {
		if event.Kind == Introduced {
			r.Events = r.Events[:i]
			return
		}
	}
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
		return found[0], "has an empty version"
	}
	return found[0], ""
}
