package vex

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
)

// What a document may hold. The largest published VEX documents of one product have some megabytes and some thousand
// statements.
const (
	// MaxSize is in bytes.
	MaxSize = 8 << 20
	// MaxExceptions is how many pairs of a vulnerability and a product one document may name.
	MaxExceptions = 20_000
	// maxIgnored is how many statements that were not understood are named; all are counted.
	maxIgnored = 20
)

// Format names the form of a document.
type Format string

// The formats.
const (
	Simple    Format = "exceptions"
	OpenVEX   Format = "OpenVEX"
	CycloneDX Format = "CycloneDX"
)

// Options complete what a document says.
type Options struct {
	// Origin names the document in what is shown.
	Origin string
	// Author is used where the document names none.
	Author string
	// Until ends every exception that does not end earlier; zero for no end.
	Until time.Time
	// Repository limits every exception to images of repositories, as a pattern. It takes the place of a link to the
	// document of one image, and of the repositories that the simple form names.
	Repository string
}

// Document is what was understood.
type Document struct {
	Format Format `json:"format"`
	// Author and At are the document's own; At is zero where it says none.
	Author     string            `json:"author,omitempty"`
	At         time.Time         `json:"at,omitzero"`
	Exceptions []judge.Exception `json:"exceptions"`
	// Ignored counts the statements that were not understood, wholly or in part; Reasons names the first of them.
	Ignored int      `json:"ignored,omitempty"`
	Reasons []string `json:"reasons,omitempty"`
}

// Parse reads a document in any of the formats. The error says what is wrong with the document as a whole.
func Parse(raw []byte, o Options) (Document, error) {
	if len(raw) > MaxSize {
		return Document{}, fmt.Errorf("the document has %d bytes; %d is the most", len(raw), MaxSize)
	}
	text := bytes.TrimSpace(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf")))
	if len(text) == 0 {
		return Document{}, errors.New("the document is empty")
	}
	d, err := parse(text, o)
	if err != nil {
		return Document{}, err
	}
	if err := o.complete(&d); err != nil {
		return Document{}, err
	}
	if len(d.Exceptions) == 0 {
		why := "it names no vulnerability"
		if d.Ignored > 0 {
			why = fmt.Sprintf("%d statements were not understood; the first: %s", d.Ignored, d.Reasons[0])
		}
		return Document{}, fmt.Errorf("nothing in the %s document can be used: %s", d.Format, why)
	}
	return d, nil
}

func parse(text []byte, o Options) (Document, error) {
	if text[0] != '{' {
		return parseSimple(text)
	}
	var head struct {
		Context   any    `json:"@context"`
		BOMFormat string `json:"bomFormat"`
		// The simple form may be written in JSON, which is YAML.
		Exceptions any `json:"exceptions"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		if _, ok := errors.AsType[*json.UnmarshalTypeError](err); !ok {
			return Document{}, fmt.Errorf("the document begins like JSON and is not: %w", err)
		}
	}
	switch {
	case strings.Contains(fmt.Sprint(head.Context), "openvex.dev/ns"):
		return parseOpenVEX(text)
	case head.BOMFormat == string(CycloneDX):
		return parseCycloneDX(text, o.Repository != "")
	case head.Exceptions != nil:
		return parseSimple(text)
	}
	return Document{}, errors.New(`the document is neither OpenVEX ("@context": "https://openvex.dev/ns/..."), nor CycloneDX ("bomFormat": "CycloneDX"), ` +
		`nor a list under "exceptions"`)
}

// complete puts the options into a document, and checks every exception. In a VEX document, one that cannot be used is
// ignored; in the simple form it is an error.
func (o Options) complete(d *Document) error {
	kept := d.Exceptions[:0]
	for i := range d.Exceptions {
		e := d.Exceptions[i]
		e.Origin = o.Origin
		if e.Author == "" {
			e.Author = o.Author
		}
		if !o.Until.IsZero() && (e.Until.IsZero() || o.Until.Before(e.Until)) {
			e.Until = o.Until
		}
		if o.Repository != "" {
			e.Repository, e.Image.Serial = o.Repository, ""
		}
		if err := e.Compile(); err != nil {
			if d.Format == Simple {
				return fmt.Errorf("exception number %d (%.80q): %w", i+1, e.Vulnerability, err)
			}
			d.ignore(e.Vulnerability, "%v", err)
			continue
		}
		kept = append(kept, e)
	}
	d.Exceptions = kept
	return nil
}

// ignore counts a statement that was not understood.
func (d *Document) ignore(vulnerability, format string, arguments ...any) {
	if d.Ignored++; len(d.Reasons) < maxIgnored {
		d.Reasons = append(d.Reasons, strings.ToValidUTF8(fmt.Sprintf("%.80q: ", vulnerability)+shorten(fmt.Sprintf(format, arguments...)), "?"))
	}
}

// maxShown bounds what a reason quotes of a document.
const maxShown = 400

func shorten(text string) string {
	if len(text) > maxShown {
		return text[:maxShown] + "..."
	}
	return text
}

// add adds an exception and refuses a document that names too many.
func (d *Document) add(e judge.Exception) error {
	if len(d.Exceptions) >= MaxExceptions {
		return fmt.Errorf("the document names more than %d pairs of a vulnerability and a product", MaxExceptions)
	}
	d.Exceptions = append(d.Exceptions, e)
	return nil
}
