package blackduck

import (
	"net/http"
	"time"

	"github.com/perceptor/perceptor/model"
)

// SetClock replaces the client's clock.
func (c *Client) SetClock(now func() time.Time) { c.now = now }

// Limits gives rate and burst of the client's own limiter.
func (c *Client) Limits() (perSecond float64, burst int) {
	return float64(c.limiter.Limit()), c.limiter.Burst()
}

// RetryAfter is the parser of the header.
var RetryAfter = retryAfter

// Row is one row of the failure table as a test sees it.
type Row struct {
	Symptom   string
	Low, High int
	Class     model.FailureClass
	Says      string
}

// Table lists the failure table.
func Table() []Row {
	var rows []Row
	for _, f := range failures {
		rows = append(rows, Row{string(f.symptom), f.low, f.high, f.class, f.says})
	}
	return rows
}

// SymptomOf names the row an error came from; empty for a row of a plain status.
func SymptomOf(err error) string {
	if e, ok := err.(*Error); ok { //nolint:errorlint // only the error itself, as it came out
		return string(e.row.symptom)
	}
	return "not an *Error"
}

// StateOf classifies a scan summary's body, as ScanState does before it asks for the bill of materials.
func StateOf(body []byte) (model.HubScanState, string, error) {
	s, err := decode[scanSummary](body)
	return s.state(), s.detail(), err
}

// BomStateOf classifies a bom-status for a scan that ended with the given reason.
func BomStateOf(status, transitionReason string) model.HubScanState {
	return (&bomStatus{Status: status}).state(&scanSummary{TransitionReason: transitionReason})
}

// DialectOf tells a dialect in words.
func DialectOf(version string, g Generation, byToken bool) string {
	d := dialectOf(version, g, byToken)
	text := "current"
	if d.old {
		text = "old"
	}
	text += map[bomWay]string{bomInScan: " bom-in-scan", bomOfVersion: " bom-of-version", bomOfScan: " bom-of-scan"}[d.bom]
	if d.readiness {
		text += " readiness"
	}
	return text
}

// Canonical is how a hub's link leaves the package.
func Canonical(root, link string) (string, error) {
	o, err := parseOrigin(root)
	if err != nil {
		return "", err
	}
	return o.canonical(link)
}

// Parse runs the parser of one kind of reply over a body; the error is nil, or a class.
func Parse(kind string, body []byte) (class model.FailureClass, known bool) {
	answer := reply{status: http.StatusOK, header: http.Header{}, body: body}
	parsers := map[string]func() error{
		"code locations": func() error { _, err := decodeReply[page[codeLocation, *codeLocation]](answer); return err },
		"code location":  func() error { _, err := decodeReply[codeLocation](answer); return err },
		"scan summaries": func() error { _, err := decodeReply[page[scanSummary, *scanSummary]](answer); return err },
		"scan summary":   func() error { _, err := decodeReply[scanSummary](answer); return err },
		"bom status":     func() error { _, err := decodeReply[bomStatus](answer); return err },
		"risk profile":   func() error { _, err := decodeReply[riskProfile](answer); return err },
		"policy status":  func() error { _, err := decodeReply[policyStatus](answer); return err },
		"findings": func() error {
			_, err := decodeReply[page[vulnerableComponent, *vulnerableComponent]](answer)
			return err
		},
		"notifications": func() error { _, err := decodeReply[page[notification, *notification]](answer); return err },
		"login":         func() error { _, err := decodeReply[loginGrant](answer); return err },
		"version":       func() error { _, err := decodeReply[hubVersion](answer); return err },
		"readiness":     func() error { _, err := decodeReply[readiness](answer); return err },
	}
	parser, known := parsers[kind]
	if !known {
		return "", false
	}
	err := parser()
	if err == nil {
		return "", true
	}
	return err.(*problem).row.class, true //nolint:errorlint // every parser gives this type, or the test fails
}

// ErrorMessage is the parser of the hub's error bodies, as its words appear in errors.
func ErrorMessage(body []byte, secrets ...string) string { return saying(errorMessage(body), secrets) }
