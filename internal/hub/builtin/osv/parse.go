package osv

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/perceptor/perceptor/model"
)

// MaxRecordSize is the most bytes one record may have. The largest published ones, with every affected commit listed, have
// a few million.
const MaxRecordSize = 16 << 20

// maxIDLength bounds ids; the longest published ones have some 40 bytes.
const maxIDLength = 128

// maxProblems bounds how many odd parts of one record are named.
const maxProblems = 20

// The published form, with only the fields that are read. See https://ossf.github.io/osv-schema/.
type (
	published struct {
		SchemaVersion string              `json:"schema_version"`
		ID            string              `json:"id"`
		Modified      string              `json:"modified"`
		Published     string              `json:"published"`
		Withdrawn     string              `json:"withdrawn"`
		Summary       string              `json:"summary"`
		Aliases       []string            `json:"aliases"`
		Related       []string            `json:"related"`
		Upstream      []string            `json:"upstream"`
		Severity      []publishedSeverity `json:"severity"`
		Affected      []publishedAffected `json:"affected"`
		Specific      specific            `json:"database_specific"`
	}
	publishedSeverity struct {
		Type  string `json:"type"`
		Score string `json:"score"`
	}
	publishedAffected struct {
		Package *struct {
			Ecosystem string `json:"ecosystem"`
			Name      string `json:"name"`
		} `json:"package"`
		Ranges    []publishedRange    `json:"ranges"`
		Versions  []string            `json:"versions"`
		Severity  []publishedSeverity `json:"severity"`
		Ecosystem specific            `json:"ecosystem_specific"`
		Database  specific            `json:"database_specific"`
	}
	publishedRange struct {
		Type   string           `json:"type"`
		Repo   string           `json:"repo"`
		Events []publishedEvent `json:"events"`
	}
	publishedEvent struct {
		Introduced   *string `json:"introduced"`
		Fixed        *string `json:"fixed"`
		LastAffected *string `json:"last_affected"`
		Limit        *string `json:"limit"`
	}
	// specific is what databases add in their own words; any shape is allowed there, so it is read leniently.
	specific struct{ word string }
)

// UnmarshalJSON takes a severity or urgency if there is one, whatever else stands there.
func (s *specific) UnmarshalJSON(data []byte) error {
	var fields struct {
		Severity any `json:"severity"`
		Urgency  any `json:"urgency"`
		Priority any `json:"priority"`
	}
	if json.Unmarshal(data, &fields) != nil {
		return nil //nolint:nilerr // another shape is no error, only no severity
	}
	for _, field := range []any{fields.Severity, fields.Urgency, fields.Priority} {
		if text, is := field.(string); is && text != "" {
			s.word = text
			return nil
		}
	}
	return nil
}

// Parse reads one OSV record of schema 1.x. One odd part does not spoil the rest: what is understood is kept, the odd part
// is named in Problems, and where it concerns a package, that package's Unclear says so. The error is an *Error: for text
// that is no JSON object, for a record without an id, of class unsupported for a later schema.
func Parse(data []byte) (Record, error) {
	if len(data) > MaxRecordSize {
		return Record{}, invalid("", fmt.Sprintf("%d bytes are more than the %d a record may have", len(data), MaxRecordSize))
	}
	var p published
	var oddType *json.UnmarshalTypeError
	err := json.Unmarshal(data, &p)
	var odd []string
	switch {
	case errors.As(err, &oddType) && oddType.Field != "":
		// The decoder went on after it, but does not say which package it was in.
		if odd, err = p.readPiecewise(data); err != nil {
			return Record{}, &Error{Class: model.Invalid, Problem: "not an OSV record in JSON", Err: err}
		}
	case err != nil:
		return Record{}, &Error{Class: model.Invalid, Problem: "not an OSV record in JSON", Err: err}
	case bytes.Equal(bytes.TrimSpace(data), []byte("null")):
		return Record{}, invalid("", "not an OSV record but null")
	}
	r, problem := p.record(odd)
	if problem == nil {
		return r, nil
	}
	if checkID(p.ID) == "" {
		problem.Where = p.ID
	}
	return Record{}, problem
}

// readPiecewise reads each part of a record by itself, after one of them had an unexpected type, and says which parts were
// odd. An affected package that is odd gets a range that cannot be understood, which marks it.
func (p *published) readPiecewise(data []byte) (odd []string, err error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, err
	}
	*p = published{}
	for _, each := range []struct {
		name string
		to   any
	}{
		{"schema_version", &p.SchemaVersion},
		{"id", &p.ID},
		{"modified", &p.Modified},
		{"published", &p.Published},
		{"withdrawn", &p.Withdrawn},
		{"summary", &p.Summary},
		{"aliases", &p.Aliases},
		{"related", &p.Related},
		{"upstream", &p.Upstream},
		{"severity", &p.Severity},
		{"database_specific", &p.Specific},
	} {
		if raw, has := fields[each.name]; has && json.Unmarshal(raw, each.to) != nil {
			odd = append(odd, each.name+": of an unexpected type")
		}
	}
	var affected []json.RawMessage
	if raw, has := fields["affected"]; has && json.Unmarshal(raw, &affected) != nil {
		odd = append(odd, "affected: of an unexpected type")
	}
	for i, raw := range affected {
		var each publishedAffected
		if err := json.Unmarshal(raw, &each); err != nil {
			each.Ranges = append(each.Ranges, publishedRange{Type: "of an unexpected type"})
			odd = append(odd, fmt.Sprintf("affected[%d]: of an unexpected type", i))
		}
		p.Affected = append(p.Affected, each)
	}
	return odd, nil
}

func (p *published) record(odd []string) (Record, *Error) {
	if v := p.SchemaVersion; v != "" && !strings.HasPrefix(v, "1.") {
		return Record{}, &Error{Class: model.Unsupported, Field: "schema_version", Problem: fmt.Sprintf("%.20q is not 1.x", v)}
	}
	if problem := checkID(p.ID); problem != "" {
		return Record{}, invalid("id", problem)
	}
	r := Record{ID: p.ID, Summary: oneLine(p.Summary), Problems: odd}
	p.readDates(&r)
	p.readNames(&r)
	overall := p.rating()
	r.Severity, r.Score = overall.severity, overall.score
	if noVulnerability(&r) {
		return r, nil
	}
	module := moduleOf(r.Summary)
	for i := range p.Affected {
		affected, keep := p.Affected[i].reduced(&r, i, overall, module)
		if keep {
			r.Affected = append(r.Affected, affected)
		}
	}
	return r, nil
}

// problem notes an odd part.
func (r *Record) problem(field, what string) {
	if len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, field+": "+what)
	}
}

// noVulnerability reports whether the record is an advisory about corrected errors or new functions, which databases of
// Red Hat's kind publish beside those about vulnerabilities. One that names a vulnerability is about it.
func noVulnerability(r *Record) bool {
	if len(r.Upstream) > 0 || slices.ContainsFunc(r.Aliases, isCVE) {
		return false
	}
	return slices.ContainsFunc(corrections, func(prefix string) bool { return strings.HasPrefix(r.ID, prefix) })
}

// corrections begin the ids of advisories about corrected errors or new functions.
var corrections = []string{"ALBA-", "ALEA-", "RLBA-", "RLEA-", "RHBA-", "RHEA-", "SUSE-RU-", "SUSE-FU-", "SUSE-OU-", "openSUSE-RU-", "MGAA-"}

// moduleForm finds the module in the title of an advisory: "Important: nodejs:20 security update". Some name several.
var moduleForm = regexp.MustCompile(`(?:^|[\s(])([a-z][A-Za-z0-9_+.-]*:[A-Za-z0-9][A-Za-z0-9_.-]*)(?:$|[\s,)])`)

// moduleOf is the module that an advisory is about; empty when its title names none, or several.
func moduleOf(title string) string {
	found := moduleForm.FindAllStringSubmatch(title, 2)
	if len(found) != 1 {
		return ""
	}
	return found[0][1]
}

// maxSummary bounds titles; GitHub's are at most 1024 bytes, most have under 100.
const maxSummary = 300

// oneLine makes a foreign title safe for a line on a terminal and for storing thousands of them.
func oneLine(title string) string {
	title = strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return ' '
	}, title)
	title = strings.Join(strings.Fields(title), " ")
	if len(title) <= maxSummary {
		return title
	}
	return strings.ToValidUTF8(title[:maxSummary], "") + "…"
}

// checkID says what is wrong with an id; empty when nothing is. Ids stand in web addresses and on terminals.
func checkID(id string) string {
	switch {
	case id == "":
		return "is missing"
	case len(id) > maxIDLength:
		return fmt.Sprintf("%.40q and so on is longer than %d bytes", id, maxIDLength)
	case strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`/\?#"'<>`, c) }):
		return fmt.Sprintf("%q has a character no id has", id)
	}
	return ""
}

func (p *published) readDates(r *Record) {
	var withdrawn time.Time
	for _, each := range []struct {
		field, text string
		to          *time.Time
	}{{"modified", p.Modified, &r.Modified}, {"published", p.Published, &r.Published}, {"withdrawn", p.Withdrawn, &withdrawn}} {
		if each.text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, each.text)
		if err != nil {
			r.problem(each.field, fmt.Sprintf("%.40q is not a time such as 2024-05-31T12:00:00Z", each.text))
			continue
		}
		*each.to = at.UTC()
	}
	// A record whose end cannot be read still counts: hiding it would be worse.
	r.Withdrawn = !withdrawn.IsZero()
}

// readNames sorts the ids into those of the same vulnerability and those of vulnerabilities this advisory is about.
func (p *published) readNames(r *Record) {
	sound := func(field string, ids []string) []string {
		return slices.DeleteFunc(ids, func(id string) bool {
			problem := checkID(id)
			if problem != "" {
				r.problem(field, problem)
			}
			return problem != ""
		})
	}
	r.Aliases, r.Upstream = sound("aliases", p.Aliases), sound("upstream", p.Upstream)
	if len(r.Upstream) > 0 || !isAdvisory(r.ID) {
		return
	}
	// Not every database has "upstream": advisories name their CVEs as aliases or as related.
	r.Upstream, r.Aliases = split(r.Aliases, isCVE)
	if len(r.Upstream) == 0 {
		r.Upstream, _ = split(sound("related", p.Related), isCVE)
	}
}

// advisories begin the ids of advisories, which are about vulnerabilities instead of being one.
var advisories = map[string]bool{
	"DSA": true, "DLA": true, "DTSA": true, "USN": true, "LSN": true, "ALSA": true, "ALBA": true, "ALEA": true, "RLSA": true, "RXSA": true,
	"RLBA": true, "RLEA": true, "RHSA": true, "RHBA": true, "RHEA": true, "SUSE": true, "openSUSE": true, "MGASA": true, "MGAA": true, "OESA": true,
}

func isAdvisory(id string) bool {
	prefix, _, _ := strings.Cut(id, "-")
	return advisories[prefix]
}

func isCVE(id string) bool { return strings.HasPrefix(id, "CVE-") }

func split(ids []string, belongs func(string) bool) (those, others []string) {
	for _, id := range ids {
		if belongs(id) {
			those = append(those, id)
		} else {
			others = append(others, id)
		}
	}
	return those, others
}

func vectors(list []publishedSeverity) rating {
	best := unrated
	for _, each := range list {
		best = best.preferred(rate(each.Score))
	}
	return best
}

// rating is the record's own: what is known to be malicious is critical, then its vectors, then its words.
func (p *published) rating() rating {
	if strings.HasPrefix(p.ID, "MAL-") || slices.ContainsFunc(p.Aliases, func(id string) bool { return strings.HasPrefix(id, "MAL-") }) {
		return rating{severity: model.SeverityCritical, scale: scaleWord}
	}
	overall := vectors(p.Severity).preferred(word(p.Specific.word))
	if overall.scale != scaleNone || !isAdvisory(p.ID) {
		return overall
	}
	// AlmaLinux, Rocky Linux and Red Hat begin titles with it: "Important: bind security update".
	prefix, _, found := strings.Cut(p.Summary, ":")
	if !found {
		return unrated
	}
	return word(prefix)
}
