package osv

import (
	"slices"
	"strings"

	"github.com/google/osv-scalibr/semantic"
)

// covers reports whether the version is affected, by a range or by standing in the list.
func (a Affected) covers(p installed) bool {
	return a.rangesCover(p.order) || a.lists(p)
}

func (a Affected) rangesCover(v semantic.Version) bool {
	return slices.ContainsFunc(a.Ranges, func(r Range) bool { return r.covers(v) })
}

// covers is the evaluation of the OSV schema over events that prepare has ordered.
func (r Range) covers(v semantic.Version) bool {
	affected, limited, below := false, false, false
	for _, e := range r.Events {
		switch e.Kind {
		case Introduced:
			if e.always() || compareVersions(v, e.order) >= 0 {
				affected = true
			}
		case Fixed:
			if compareVersions(v, e.order) >= 0 {
				affected = false
			}
		case LastAffected:
			if compareVersions(v, e.order) > 0 {
				affected = false
			}
		case Limit:
			limited = true
			below = below || e.always() || compareVersions(v, e.order) < 0
		}
	}
	return affected && (below || !limited)
}

// lists reports whether the list of versions has this one. PyPI writes one version in several ways (1.0 and 1.0.0), so
// there the order decides; elsewhere the text does.
func (a Affected) lists(p installed) bool {
	if slices.Contains(a.Versions, p.text) {
		return true
	}
	if a.Ecosystem != ecosystemPyPI {
		return false
	}
	return slices.ContainsFunc(a.Versions, func(text string) bool {
		listed, err := parseVersion(a.Ecosystem, text)
		return err == nil && compareVersions(listed, p.order) == 0
	})
}

// dropCovered removes listed versions that a range covers anyway. OSV lists every affected release beside the ranges; kept
// whole, these lists are most of an archive.
func (a *Affected) dropCovered() {
	rest := a.Versions[:0]
	for _, text := range a.Versions {
		v, err := parseVersion(a.Ecosystem, text)
		if err == nil && a.rangesCover(v) {
			continue
		}
		rest = append(rest, plainVersion(a.Ecosystem, text))
	}
	a.Versions = slices.Clip(rest)
}

// plainVersion is the form in which listed and installed versions are compared as text.
func plainVersion(ecosystem, text string) string {
	switch ecosystem {
	case ecosystemGo:
		text, _, _ = strings.Cut(strings.TrimPrefix(goVersion(text), "v"), "+")
	case ecosystemNPM:
		text = strings.TrimPrefix(text, "v")
	}
	return text
}
