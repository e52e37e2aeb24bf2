package osv

import (
	"maps"
	"slices"
	"strings"
)

// names groups ids that mean one vulnerability: each id points at another of its group, the last one at itself.
type names map[string]string

func (n names) root(id string) string {
	up, known := n[id]
	if !known {
		n[id] = id
		return id
	}
	if up == id {
		return id
	}
	top := n.root(up)
	n[id] = top
	return top
}

func (n names) join(a, b string) { n[n.root(a)] = n.root(b) }

// ownNames begin the ids that databases give to a CVE of which they keep a record of their own.
var ownNames = []string{"DEBIAN-", "UBUNTU-", "ALPINE-", "MINI-"}

// learn takes over what a record says of its ids, and answers the ids of the vulnerabilities it is about.
func (n names) learn(r *Record) []string {
	for _, id := range slices.Concat([]string{r.ID}, r.Aliases, r.Upstream) {
		for _, prefix := range ownNames {
			if cve, found := strings.CutPrefix(id, prefix); found && isCVE(cve) {
				n.join(id, cve)
			}
		}
	}
	for _, alias := range r.Aliases {
		n.join(r.ID, alias)
	}
	switch {
	case len(r.Upstream) == 0:
		return []string{r.ID}
	case len(r.Upstream) == 1 || !isAdvisory(r.ID):
		// A record that is no advisory is one vulnerability, whatever number of upstream ids that has.
		for _, id := range r.Upstream {
			n.join(r.ID, id)
		}
	}
	return r.Upstream
}

// group is one vulnerability: the records that touch the package by it, and every id it is known under.
type group struct {
	hits   []hit
	ids    map[string]bool
	rating rating
}

// merge makes one finding of all records about one vulnerability.
func merge(p Package, hits []hit, records []Record) []Finding {
	known := names{}
	subjects := make(map[*Record][]string, len(records))
	for i := range records {
		if r := &records[i]; !r.Withdrawn {
			subjects[r] = known.learn(r)
		}
	}
	groups := map[string]*group{}
	for _, h := range hits {
		for _, root := range known.roots(subjects[h.record]) {
			g := groups[root]
			if g == nil {
				g = &group{ids: map[string]bool{}, rating: unrated}
				groups[root] = g
			}
			g.add(h)
		}
	}
	for id := range maps.Clone(known) {
		if g := groups[known.root(id)]; g != nil {
			g.ids[id] = true
		}
	}
	known.lendSeverity(groups, records, subjects)
	findings := make([]Finding, 0, len(groups))
	for _, g := range groups {
		findings = append(findings, g.finding(p))
	}
	return findings
}

// roots are the groups of the ids, each once: an advisory may name one vulnerability twice.
func (n names) roots(ids []string) []string {
	roots := make([]string, 0, len(ids))
	for _, id := range ids {
		if root := n.root(id); !slices.Contains(roots, root) {
			roots = append(roots, root)
		}
	}
	return roots
}

// lendSeverity lets records that do not touch this version still say how bad a vulnerability is that another one reports.
func (n names) lendSeverity(groups map[string]*group, records []Record, subjects map[*Record][]string) {
	for i := range records {
		r := &records[i]
		lent := rating{severity: r.Severity, score: r.Score}
		if r.Withdrawn || lent.severity == "" || len(subjects[r]) != 1 {
			continue
		}
		if g := groups[n.root(subjects[r][0])]; g != nil && lent.worse(g.rating) {
			g.rating = lent
		}
	}
}

func (g *group) add(h hit) {
	g.hits = append(g.hits, h)
	g.ids[h.record.ID] = true
	for _, alias := range h.record.Aliases {
		g.ids[alias] = true
	}
	if h.rating.severity != "" && h.rating.worse(g.rating) {
		g.rating = h.rating
	}
}

func (g *group) finding(p Package) Finding {
	ids := slices.Sorted(maps.Keys(g.ids))
	f := Finding{ID: preferred(p.Ecosystem, ids), Severity: g.rating.severity, Score: g.rating.score, Fixed: bestFix(g.hits)}
	f.Aliases = slices.DeleteFunc(ids, func(id string) bool { return id == f.ID })
	// The first record is that of the ecosystem's own database, if it has one.
	first := g.first(p.Ecosystem)
	f.URL, f.Summary = pageOf(first.ID), first.Summary
	for _, h := range g.hits {
		r := h.record
		if f.Summary == "" {
			f.Summary = r.Summary
		}
		if !r.Published.IsZero() && (f.Published.IsZero() || r.Published.Before(f.Published)) {
			f.Published = r.Published
		}
		if r.Modified.After(f.Modified) {
			f.Modified = r.Modified
		}
	}
	return f
}

func (g *group) first(ecosystem string) *Record {
	ids := make([]string, 0, len(g.hits))
	for _, h := range g.hits {
		ids = append(ids, h.record.ID)
	}
	slices.Sort(ids)
	id := own(ecosystem, ids)
	return g.hits[slices.IndexFunc(g.hits, func(h hit) bool { return h.record.ID == id })].record
}

// preferred is the id a person looks for first: the CVE's, else that of the ecosystem's own database.
func preferred(ecosystem string, ids []string) string {
	if i := slices.IndexFunc(ids, isCVE); i >= 0 {
		return ids[i]
	}
	return own(ecosystem, ids)
}

// own is the first id of the ecosystem's own database, or the first of all.
func own(ecosystem string, ids []string) string {
	for _, prefix := range ownPrefixes[Base(ecosystem)] {
		if i := slices.IndexFunc(ids, func(id string) bool { return strings.HasPrefix(id, prefix) }); i >= 0 {
			return ids[i]
		}
	}
	return ids[0]
}

// ownPrefixes begin the ids of each ecosystem's own database, the more specific first.
var ownPrefixes = map[string][]string{
	ecosystemAlma:      {"ALSA-"},
	ecosystemAlpine:    {"ALPINE-"},
	ecosystemBitnami:   {"BIT-"},
	ecosystemCRAN:      {"RSEC-"},
	ecosystemCrates:    {"RUSTSEC-", "GHSA-"},
	ecosystemDebian:    {"DSA-", "DLA-", "DEBIAN-"},
	ecosystemGo:        {"GO-", "GHSA-"},
	ecosystemHackage:   {"HSEC-"},
	ecosystemMageia:    {"MGASA-"},
	ecosystemNPM:       {"GHSA-", "MAL-"},
	ecosystemOpenEuler: {"OESA-"},
	ecosystemOpenSUSE:  {"openSUSE-", "SUSE-"},
	ecosystemPyPI:      {"PYSEC-", "GHSA-", "MAL-"},
	ecosystemRedHat:    {"RHSA-"},
	ecosystemRocky:     {"RLSA-", "RXSA-"},
	ecosystemSUSE:      {"SUSE-"},
	ecosystemUbuntu:    {"USN-", "UBUNTU-"},
}
