package osv

import (
	"bytes"
	"encoding/json"
	"fmt"
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
	}
	if json.Unmarshal(data, &fields) != nil {
		return nil //nolint:nilerr // another shape is no error, only no severity
	}
	for _, field := range []any{fields.Severity, fields.Urgency} {
		if text, is := field.(string); is && text != "" {
			s.word = text
			return nil
		}
	}
	return nil
}

// Parse reads one OSV record of schema 1.x. The error is an *Error that names the field and what is wrong with it; of class
// invalid, or unsupported for a later schema.
func Parse(data []byte) (Record, error) {
	var p published
	if len(data) > MaxRecordSize {
		return Record{}, invalid("", fmt.Sprintf("%d bytes are more than the %d a record may have", len(data), MaxRecordSize))
	}
	if err := json.Unmarshal(data, &p); err != nil {
		return Record{}, &Error{Class: model.Invalid, Problem: "not an OSV record in JSON", Err: err}
	}
	if bytes.Equal(bytes.TrimSpace(data), []byte("null")) {
		return Record{}, invalid("", "not an OSV record but null")
	}
	r, err := p.record()
	if err == nil {
		return r, nil
	}
	if checkID(p.ID) == "" {
		err.Where = p.ID
	}
	return Record{}, err
}

func (p *published) record() (Record, *Error) {
	if v := p.SchemaVersion; v != "" && !strings.HasPrefix(v, "1.") {
		return Record{}, &Error{Class: model.Unsupported, Field: "schema_version", Problem: fmt.Sprintf("%.20q is not 1.x", v)}
	}
	if problem := checkID(p.ID); problem != "" {
		return Record{}, invalid("id", problem)
	}
	r := Record{ID: p.ID, Summary: oneLine(p.Summary)}
	if err := p.dates(&r); err != nil {
		return Record{}, err
	}
	if err := p.names(&r); err != nil {
		return Record{}, err
	}
	overall := vectors(p.Severity).preferred(word(p.Specific.word))
	r.Severity, r.Score = overall.severity, overall.score
	for i := range p.Affected {
		affected, keep, err := p.Affected[i].reduced(overall)
		if err != nil {
			err.Field = fmt.Sprintf("affected[%d].%s", i, err.Field)
			return Record{}, err
		}
		if keep {
			r.Affected = append(r.Affected, affected)
		}
	}
	return r, nil
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

func (p *published) dates(r *Record) *Error {
	if p.Modified == "" {
		return invalid("modified", "is missing")
	}
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
			return invalid(each.field, fmt.Sprintf("%.40q is not a time such as 2024-05-31T12:00:00Z", each.text))
		}
		*each.to = at.UTC()
	}
	r.Withdrawn = p.Withdrawn != ""
	return nil
}

// names sorts the ids into those of the same vulnerability and those of vulnerabilities this advisory is about.
func (p *published) names(r *Record) *Error {
	for _, each := range []struct {
		field string
		ids   []string
	}{{"aliases", p.Aliases}, {"related", p.Related}, {"upstream", p.Upstream}} {
		for i, id := range each.ids {
			if problem := checkID(id); problem != "" {
				return invalid(fmt.Sprintf("%s[%d]", each.field, i), problem)
			}
		}
	}
	r.Aliases, r.Upstream = p.Aliases, p.Upstream
	if len(r.Upstream) > 0 || !isAdvisory(r.ID) {
		return nil
	}
	// Before OSV had "upstream", Debian's advisories named their CVEs as aliases, and for a while as related.
	r.Upstream, r.Aliases = split(p.Aliases, isCVE)
	if len(r.Upstream) == 0 {
		r.Upstream, _ = split(p.Related, isCVE)
	}
	return nil
}

// isAdvisory reports whether the id is of Debian's advisories, which are about vulnerabilities instead of being one.
func isAdvisory(id string) bool {
	return strings.HasPrefix(id, "DSA-") || strings.HasPrefix(id, "DLA-") || strings.HasPrefix(id, "DTSA-")
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
