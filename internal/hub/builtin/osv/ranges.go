package osv

import "slices"

// covers reports whether the version is affected, by a range or by standing in the list.
func (a Affected) covers(p installed) bool {
	return a.meansModuleOf(p) && (a.rangesCover(p) || a.lists(p))
}

// meansModuleOf reports whether the entry is about packages of the installed one's RPM module. Packages of a module and
// others of the same name have versions that do not compare, and so have those of two streams of a module.
func (a Affected) meansModuleOf(p installed) bool {
	if ecosystems[Base(a.Ecosystem)].scheme != schemeRPM {
		return true
	}
	if len(a.Ranges) > 0 && (a.Module != "") != p.modular {
		return false
	}
	known := a.Module != "" && a.Module != anyModule && p.module != ""
	return !known || a.Module == p.module
}

func (a Affected) rangesCover(p installed) bool {
	return slices.ContainsFunc(a.Ranges, func(r Range) bool { return r.covers(p) })
}

// against is how the installed version compares with the event's.
func (p installed) against(e Event) int {
	if e.bare && p.bare != nil {
		return compareVersions(p.bare, e.order)
	}
	return compareVersions(p.order, e.order)
}

// covers is the evaluation of the OSV schema over events that are in the order of their versions.
func (r Range) covers(p installed) bool {
	affected, limited, below := false, false, false
	for _, e := range r.Events {
		switch e.Kind {
		case Introduced:
			if e.always() || p.against(e) >= 0 {
				affected = true
			}
		case Fixed:
			if p.against(e) >= 0 {
				affected = false
			}
		case LastAffected:
			if p.against(e) > 0 {
				affected = false
			}
		case Limit:
			limited = true
			below = below || e.always() || p.against(e) < 0
		}
	}
	return affected && (below || !limited)
}

// lists reports whether the list of versions has this one. Where an ecosystem writes one version in several ways (1.0 and
// 1.0.0), the order decides.
func (a Affected) lists(p installed) bool {
	if slices.Contains(a.Versions, p.text) {
		return true
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
		if err == nil && a.rangesCover(installed{order: v}) {
			continue
		}
		rest = append(rest, plainVersion(a.Ecosystem, text))
	}
	a.Versions = slices.Clip(rest)
}
