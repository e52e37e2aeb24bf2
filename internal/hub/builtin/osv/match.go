package osv

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/google/osv-scalibr/semantic"

	"github.com/perceptor/perceptor/model"
)

// Finding is one vulnerability of one installed package, whatever number of databases publish it.
type Finding struct {
	// ID is the CVE's if it has one, else the id in the ecosystem's own database.
	ID string `json:"id"`
	// Aliases are its other ids, with those of the advisories about it, sorted.
	Aliases []string `json:"aliases,omitempty"`
	// Summary is the title in one line; empty when no record has one.
	Summary  string         `json:"summary,omitempty"`
	Severity model.Severity `json:"severity"`
	// Score is the CVSS base score from 0 to 10; 0 when only a word is known, or nothing.
	Score float64 `json:"score,omitempty"`
	// Fixed is the lowest version above the installed one that no record calls affected; empty when none is known.
	Fixed string `json:"fixed,omitempty"`
	// URL is where a person reads about it.
	URL string `json:"url,omitempty"`
	// Published is the first publication, Modified the last change, over all records; zero when unknown.
	Published time.Time `json:"published"`
	Modified  time.Time `json:"modified"`
}

// recordPage is where OSV shows a record of any database: https://google.github.io/osv.dev/.
const recordPage = "https://osv.dev/vulnerability/"

// Match says which of the records touch the installed package. The error, an *Error, is of class unsupported for a package
// that cannot be looked up.
func Match(purl string, records []Record) ([]Finding, error) {
	p, reason, detail := Locate(Subject{PURL: purl}, Distribution{})
	if reason != "" {
		return nil, &Error{Class: model.Unsupported, Where: fmt.Sprintf("package URL %q", purl), Problem: fmt.Sprintf("not assessed: %s (%s)", reason, detail)}
	}
	findings, _ := p.Match(records)
	return findings, nil
}

// KeyOf says where records about an installed package are filed. Known is false when it cannot be looked up.
func KeyOf(purl string) (key Key, known bool, err error) {
	p, reason, _ := Locate(Subject{PURL: purl}, Distribution{})
	if reason != "" {
		return Key{}, false, nil
	}
	return p.forms[0].Key, true, nil
}

// Match says which of the records touch the installed package, one entry for each vulnerability, worst first and then by
// id. Records of other packages are passed over, so it is safe to hand in too many; records that do not touch it still lend
// their severity to those that do. Unclear names the first record about the package that could not be understood in full;
// it is empty when all were.
func (p Package) Match(records []Record) (findings []Finding, unclear string) {
	hits, unclear := p.hits(records)
	if len(hits) == 0 {
		return nil, unclear
	}
	findings = merge(p, hits, records)
	slices.SortFunc(findings, func(a, b Finding) int {
		x, y := rating{severity: a.Severity, score: a.Score}, rating{severity: b.Severity, score: b.Score}
		switch {
		case x.worse(y):
			return -1
		case y.worse(x):
			return 1
		}
		return cmp.Compare(a.ID, b.ID)
	})
	return findings, unclear
}

// named is an entry of a record with the form of the installed package that it names.
type named struct {
	*Affected
	as installed
}

// hit is a record that touches the installed package, with the entries of that package.
type hit struct {
	record   *Record
	affected []named
	rating   rating
}

func (p Package) hits(records []Record) (hits []hit, unclear string) {
	for i := range records {
		r := &records[i]
		if r.Withdrawn {
			continue
		}
		h := hit{record: r, rating: rating{severity: r.Severity, score: r.Score}}
		touched := false
		for j := range r.Affected {
			a := &r.Affected[j]
			at := slices.IndexFunc(p.forms, func(f installed) bool { return f.Key == a.Key })
			if at < 0 {
				continue
			}
			if a.Unclear != "" && unclear == "" {
				unclear = r.ID + ": " + a.Unclear
			}
			h.affected = append(h.affected, named{a, p.forms[at]})
			if !a.covers(p.forms[at]) {
				continue
			}
			touched = true
			if a.Severity != "" {
				h.rating = rating{severity: a.Severity, score: a.Score}
			}
		}
		if touched && !h.isTheFix() {
			hits = append(hits, h)
		}
	}
	return hits, unclear
}

// isTheFix reports whether the installed version is one that the record calls fixed. Advisories of RPM distributions list
// each build of a module by itself, and of two builds of one fix the lower is not affected.
func (h hit) isTheFix() bool {
	return slices.ContainsFunc(h.affected, func(a named) bool {
		if ecosystems[Base(a.Ecosystem)].scheme != schemeRPM {
			return false
		}
		return slices.ContainsFunc(a.Ranges, func(r Range) bool {
			return slices.ContainsFunc(r.Events, func(e Event) bool { return e.Kind == Fixed && a.as.against(e) == 0 })
		})
	})
}

// covers reports whether any entry of the package covers the version.
func (h hit) covers(v version) bool {
	return slices.ContainsFunc(h.affected, func(a named) bool { return a.covers(a.as.at(v)) })
}

// version is a version as text and in its order.
type version struct {
	text  string
	order semantic.Version
}

// at is the package as if another version of it were installed.
func (p installed) at(v version) installed {
	p.text, p.order, p.bare = plainVersion(p.Ecosystem, v.text), v.order, nil
	return p
}

// fixes are the versions above the installed one that the record calls fixed and affected by none of its own ranges.
func (h hit) fixes() []version {
	var fixes []version
	for _, a := range h.affected {
		if !a.meansModuleOf(a.as) {
			continue
		}
		for _, r := range a.Ranges {
			for _, e := range r.Events {
				if e.Kind != Fixed || a.as.against(e) >= 0 {
					continue
				}
				if fix := (version{e.Version, e.order}); !h.covers(fix) {
					fixes = append(fixes, fix)
				}
			}
		}
	}
	return fixes
}

// bestFix is the lowest fixed version that none of the records calls affected. Where there is none, because one of them
// knows no fix, it is the lowest that its own record calls fixed.
func bestFix(hits []hit) string {
	var fixes []version
	for _, h := range hits {
		fixes = append(fixes, h.fixes()...)
	}
	if len(fixes) == 0 {
		return ""
	}
	slices.SortStableFunc(fixes, func(a, b version) int { return compareVersions(a.order, b.order) })
	for _, fix := range fixes {
		if !slices.ContainsFunc(hits, func(h hit) bool { return h.covers(fix) }) {
			return fix.text
		}
	}
	return fixes[0].text
}

func pageOf(id string) string { return recordPage + url.PathEscape(id) }
