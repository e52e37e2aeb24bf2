package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/perceptor/perceptor/model"
)

// Phase is what a scan client is doing. Phases come in the order of the constants; a verb uses only its own.
type Phase string

// The phases. Done and Total count, in this order: bytes of layers read, catalogue tasks, SBOMs, logins, bytes of the
// SBOM sent.
const (
	PhaseUnpack    Phase = "unpack"
	PhaseCatalogue Phase = "catalogue"
	PhaseWrite     Phase = "write"
	PhaseLogin     Phase = "login"
	PhaseUpload    Phase = "upload"
)

// MaxLine is the longest line in bytes, without its line end. The longest true line is an error with a hub's own
// words in it, which the writer keeps far below this.
const MaxLine = 64 << 10

// maxText is how much of a message or an address is kept, in bytes.
const maxText = 4 << 10

// Progress is how far a client is. Total is 0 while it is not known.
type Progress struct {
	Phase Phase `json:"phase"`
	Done  int64 `json:"done"`
	Total int64 `json:"total"`
}

// Result is what a client achieved: the first two belong to "sbom", the last two to "upload".
type Result struct {
	// Components is how many packages the SBOM lists.
	Components int `json:"components"`
	// SBOMBytes is the size of the SBOM.
	SBOMBytes int64 `json:"sbomBytes"`
	// ScanID is the hub's id of the accepted scan; empty when the hub gave none.
	ScanID string `json:"scanID,omitempty"`
	// ScanURL is where the hub tells of that scan; empty when the hub gave none.
	ScanURL string `json:"scanURL,omitempty"`
	// Ends says that a client that serves ends after this result: the image was odd, and the next one gets a new client.
	Ends bool `json:"ends,omitempty"`
}

// Failure is why a client ended without a result.
type Failure struct {
	Class   model.FailureClass `json:"class"`
	Message string             `json:"message"`
	// RetryAfterSeconds is the wait that the hub asked for; 0 when it asked for none.
	RetryAfterSeconds int64 `json:"retryAfterSeconds,omitempty"`
	// Refused says that the hub surely did not accept the upload: it never got a byte of it, or it said no.
	// False means that it is not known, once the phase "upload" was said.
	Refused bool `json:"refused"`
}

// RetryAfter is RetryAfterSeconds as a duration.
func (f Failure) RetryAfter() time.Duration { return time.Duration(f.RetryAfterSeconds) * time.Second }

// Message is one line: exactly one of its fields is set.
type Message struct {
	Progress *Progress
	Result   *Result
	Failure  *Failure
}

// Last reports whether nothing may follow.
func (m Message) Last() bool { return m.Progress == nil }

// wire is a line as it is written. Progress stands flat in it, result and error under their own keys.
type wire struct {
	Phase  *Phase   `json:"phase,omitempty"`
	Done   *int64   `json:"done,omitempty"`
	Total  *int64   `json:"total,omitempty"`
	Result *Result  `json:"result,omitempty"`
	Error  *Failure `json:"error,omitempty"`
}

var errNotALine = errors.New("want one JSON object with a phase, a result or an error")

// Parse reads one line. Unknown keys are allowed, so that a newer client can say more; anything else that is not the
// protocol is an error which quotes the beginning of the line.
func Parse(line []byte) (Message, error) {
	if len(line) > MaxLine {
		return Message{}, fmt.Errorf("a line of more than %d bytes", MaxLine)
	}
	var w wire
	decoder := json.NewDecoder(bytes.NewReader(line))
	if err := decoder.Decode(&w); err != nil {
		return Message{}, fmt.Errorf("%w, got %s", errNotALine, quote(line))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Message{}, fmt.Errorf("%w and nothing after it, got %s", errNotALine, quote(line))
	}
	m, err := w.message()
	if err != nil {
		return Message{}, fmt.Errorf("%w, in %s", err, quote(line))
	}
	return m, nil
}

func (w wire) message() (Message, error) {
	set := 0
	for _, present := range []bool{w.Phase != nil, w.Result != nil, w.Error != nil} {
		if present {
			set++
		}
	}
	if set != 1 {
		return Message{}, errNotALine
	}
	switch {
	case w.Phase != nil:
		p := Progress{Phase: *w.Phase, Done: value(w.Done), Total: value(w.Total)}
		return Message{Progress: &p}, p.check()
	case w.Result != nil:
		return Message{Result: w.Result}, w.Result.check()
	default:
		return Message{Failure: w.Error}, w.Error.check()
	}
}

func (p Progress) check() error {
	switch p.Phase {
	case PhaseUnpack, PhaseCatalogue, PhaseWrite, PhaseLogin, PhaseUpload:
	default:
		return fmt.Errorf("unknown phase %.40q", p.Phase)
	}
	if p.Done < 0 || p.Total < 0 {
		return errors.New("progress below zero")
	}
	return nil
}

func (r Result) check() error {
	if r.Components < 0 || r.SBOMBytes < 0 {
		return errors.New("a count below zero")
	}
	if len(r.ScanID) > maxText || len(r.ScanURL) > maxText {
		return fmt.Errorf("a scan id or address of more than %d bytes", maxText)
	}
	return nil
}

func (f Failure) check() error {
	if _, known := exitCodes[f.Class]; !known {
		return fmt.Errorf("unknown failure class %.40q", f.Class)
	}
	if f.Message == "" {
		return errors.New("an error without a message")
	}
	if f.RetryAfterSeconds < 0 || f.RetryAfterSeconds > maxRetryAfterSeconds {
		return fmt.Errorf("a wait of %d seconds", f.RetryAfterSeconds)
	}
	return nil
}

func value(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}

// quoted is how much of a wrong line its error shows.
const quoted = 80

func quote(line []byte) string {
	if len(line) > quoted {
		return fmt.Sprintf("%q...", line[:quoted])
	}
	return fmt.Sprintf("%q", line)
}

// Clip shortens a text to the longest that a line carries, at the border of a character.
func Clip(text string) string {
	if len(text) <= maxText {
		return text
	}
	end := maxText
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "..."
}

// Error is the message: a failure is the error of a client's own parts.
func (f Failure) Error() string { return f.Message }
