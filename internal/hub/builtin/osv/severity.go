package osv

import (
	"slices"
	"strings"

	cvss20 "github.com/pandatix/go-cvss/20"
	cvss30 "github.com/pandatix/go-cvss/30"
	cvss31 "github.com/pandatix/go-cvss/31"
	cvss40 "github.com/pandatix/go-cvss/40"

	"github.com/perceptor/perceptor/model"
)

// rating is how bad something is, and by which scale that was found.
type rating struct {
	severity model.Severity
	score    float64
	// scale is the place of the scale in the order of preference, lower is better.
	scale int
}

// The scales in their order of preference; the package's documentation says why.
const (
	scaleV31 = iota
	scaleV40
	scaleV30
	scaleV20
	scaleWord
	scaleNone
)

var unrated = rating{severity: model.SeverityUnrated, scale: scaleNone}

// The bounds of the words, from the qualitative scale of CVSS 3.0, 3.1 and 4.0 (section 5 of the first two, 6 of the
// last); version 2 has none and is read as NVD does, without "critical".
const (
	criticalFrom = 9.0
	highFrom     = 7.0
	mediumFrom   = 4.0
)

// maxVectorLength bounds what is parsed: a complete CVSS 4.0 vector has some 230 bytes.
const maxVectorLength = 1024

// rate reads one entry of a severity list: a CVSS vector of any version, or a word, as Ubuntu's records have.
func rate(text string) rating {
	if len(text) > maxVectorLength {
		return unrated
	}
	switch {
	case strings.HasPrefix(text, "CVSS:3.1/"):
		if v, err := cvss31.ParseVector(text); err == nil {
			return scored(v.BaseScore(), scaleV31)
		}
	case strings.HasPrefix(text, "CVSS:4.0/"):
		if v, err := cvss40.ParseVector(text); err == nil {
			return scored(v.Score(), scaleV40)
		}
	case strings.HasPrefix(text, "CVSS:3.0/"):
		if v, err := cvss30.ParseVector(text); err == nil {
			return scored(v.BaseScore(), scaleV30)
		}
	case strings.HasPrefix(text, "AV:"):
		if v, err := cvss20.ParseVector(text); err == nil {
			return scored(v.BaseScore(), scaleV20)
		}
	default:
		return word(text)
	}
	return unrated
}

func scored(score float64, scale int) rating {
	r := rating{severity: model.SeverityLow, score: score, scale: scale}
	switch {
	case score >= criticalFrom && scale != scaleV20:
		r.severity = model.SeverityCritical
	case score >= highFrom:
		r.severity = model.SeverityHigh
	case score >= mediumFrom:
		r.severity = model.SeverityMedium
	}
	return r
}

// words are what databases write instead of a vector: GitHub's levels, Debian's urgencies, Ubuntu's priorities.
var words = map[string]model.Severity{
	"critical": model.SeverityCritical,
	"high":     model.SeverityHigh, "important": model.SeverityHigh,
	"medium": model.SeverityMedium, "moderate": model.SeverityMedium,
	"low": model.SeverityLow, "minor": model.SeverityLow, "negligible": model.SeverityLow, "unimportant": model.SeverityLow,
}

// word reads a severity in words; Debian marks automatic urgencies with asterisks.
func word(text string) rating {
	severity, known := words[strings.ToLower(strings.TrimRight(strings.TrimSpace(text), "*"))]
	if !known {
		return unrated
	}
	return rating{severity: severity, scale: scaleWord}
}

// preferred is the rating by the better scale.
func (r rating) preferred(other rating) rating {
	if other.scale < r.scale {
		return other
	}
	return r
}

// worse reports whether r is a higher severity than other, or the same with a higher score.
func (r rating) worse(other rating) bool {
	if r.severity == other.severity {
		return r.score > other.score
	}
	return r.severity.AtLeast(other.severity)
}

// RatingOf is how bad the one vulnerability is that a record is about, with every id of that vulnerability, so that it can
// lend its severity to records that have none. Ids is empty when the record has no severity, or is about several.
func RatingOf(r Record) (severity model.Severity, score float64, ids []string) {
	if r.Withdrawn || isAdvisory(r.ID) && len(r.Upstream) != 1 {
		return "", 0, nil
	}
	best := rating{severity: r.Severity, score: r.Score}
	for _, a := range r.Affected {
		if own := (rating{severity: a.Severity, score: a.Score}); own.severity != "" && (best.severity == "" || own.worse(best)) {
			best = own
		}
	}
	if best.severity == "" || best.severity == model.SeverityUnrated {
		return "", 0, nil
	}
	ids = append(ids, r.ID)
	for _, id := range slices.Concat(r.Aliases, r.Upstream) {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return best.severity, best.score, ids
}

// Rate reads a CVSS vector of any version, or a word such as "important". It is UNRATED when the text is neither.
func Rate(text string) (severity model.Severity, score float64) {
	r := rate(text)
	return r.severity, r.score
}

// maxScore is the top of the CVSS scale.
const maxScore = 10

// RateScore reads a base score of CVSS 3 or 4.
func RateScore(score float64) model.Severity {
	if score <= 0 || score > maxScore {
		return model.SeverityUnrated
	}
	return scored(score, scaleV31).severity
}
