package osv

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/perceptor/perceptor/model"
)

// Finding is one vulnerability of one installed package, whatever number of databases publish it.
type Finding struct {
	// ID is the CVE's if it has one, else the id in the ecosystem's own database.
	ID string
	// Aliases are its other ids, with those of the advisories about it, sorted.
	Aliases []string
	// Summary is the title in one line; empty when no record has one.
	Summary  string
	Severity model.Severity
	// Score is the CVSS base score from 0 to 10; 0 when only a word is known, or nothing.
	Score float64
	// Fixed is the lowest version above the installed one that no record calls affected; empty when none is known.
	Fixed string
	// URL is where a person reads about it.
	URL string
	// Published is the first publication, Modified the last change, over all records; zero when unknown.
	Published time.Time
	Modified  time.Time
}

// recordPage is where OSV shows a record of any database: https://google.github.io/osv.dev/.
const recordPage = "https://osv.dev/vulnerability/"

// Match says which of the records touch the installed package, one entry for each vulnerability, worst first and then by
// id. Records of other packages are passed over, so it is safe to hand in too many; records that do not touch it still lend
// their severity to those that do. The error, an *Error, is of class invalid for text that is no package URL, and of class
// unsupported for a package that cannot be assessed.
func Match(purl string, records []Record) ([]Finding, error) {
	p, known, err := installedOf(purl)
	if err != nil {
		return nil, err
	}
	if !known {
		return nil, &Error{Class: model.Unsupported, Where: fmt.Sprintf("package URL %q", purl), Problem: "not assessed: no ecosystem, release or version to judge it by"}
	}
	hits := p.hits(records)
	if len(hits) == 0 {
		return nil, nil
	}
	findings := merge(p, hits, records)
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
	return findings, nil
}

// hit is a record that touches the installed package, with the entries of that package.
type hit struct {
	record   *Record
	affected []*Affected
	rating   rating
}

func (p installed) hits(records []Record) []hit {
	var hits []hit
	for i := range records {
		r := &records[i]
		if r.Withdrawn {
			continue
		}
		h := hit{record: r, rating: rating{severity: r.Severity, score: r.Score}}
		touched := false
		for j := range r.Affected {
			a := &r.Affected[j]
			if a.Key != p.Key {
				continue
			}
			h.affected = append(h.affected, a)
			if !a.covers(p) {
				continue
			}
			touched = true
			if a.Severity != "" {
				h.rating = rating{severity: a.Severity, score: a.Score}
			}
		}
		if touched {
			hits = append(hits, h)
		}
	}
	return hits
}

// affects reports whether any entry of the package covers the version.
func (h hit) affects(p installed) bool {
	return slices.ContainsFunc(h.affected, func(a *Affected) bool { return a.covers(p) })
}

// fixes are the versions above the installed one that the record calls fixed and affected by none of its own ranges.
func (h hit) fixes(p installed) []installed {
	var fixes []installed
	for _, a := range h.affected {
		for _, r := range a.Ranges {
			for _, e := range r.Events {
				if e.Kind != Fixed || compareVersions(e.order, p.order) <= 0 {
					continue
				}
				fix := installed{Key: p.Key, text: e.Version, order: e.order}
				if !h.affects(fix) {
					fixes = append(fixes, fix)
				}
			}
		}
	}
	return fixes
}

// bestFix is the lowest fixed version that none of the records calls affected. Where there is none, because one of them
// knows no fix, it is the lowest that its own record calls fixed.
func bestFix(p installed, hits []hit) string {
	var fixes []installed
	for _, h := range hits {
		fixes = append(fixes, h.fixes(p)...)
	}
	if len(fixes) == 0 {
		return ""
	}
	slices.SortStableFunc(fixes, func(a, b installed) int { return compareVersions(a.order, b.order) })
	for _, fix := range fixes {
		if !slices.ContainsFunc(hits, func(h hit) bool { return h.affects(fix) }) {
			return fix.text
		}
	}
	return fixes[0].text
}

func pageOf(id string) string { return recordPage + url.PathEscape(id) }
