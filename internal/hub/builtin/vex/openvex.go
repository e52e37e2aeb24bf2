package vex

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
	"github.com/perceptor/perceptor/model"
)

// The parts of OpenVEX that matter here: https://github.com/openvex/spec. The first drafts wrote vulnerabilities and products
// as bare texts; both forms are read.
type openVEX struct {
	Author     string             `json:"author"`
	Timestamp  string             `json:"timestamp"`
	Statements []openVEXStatement `json:"statements"`
}

type openVEXStatement struct {
	Vulnerability openVEXVulnerability `json:"vulnerability"`
	Products      []openVEXProduct     `json:"products"`
	// Subcomponents stood beside the products in the first drafts.
	Subcomponents   []openVEXProduct `json:"subcomponents"`
	Status          judge.Stance     `json:"status"`
	StatusNotes     string           `json:"status_notes"`
	Justification   string           `json:"justification"`
	ImpactStatement string           `json:"impact_statement"`
	Timestamp       string           `json:"timestamp"`
	Supplier        string           `json:"supplier"`
}

type openVEXVulnerability struct {
	ID      string   `json:"@id"`
	Name    string   `json:"name"`
	Aliases []string `json:"aliases"`
}

// UnmarshalJSON also reads a bare text.
func (v *openVEXVulnerability) UnmarshalJSON(raw []byte) error {
	type plain openVEXVulnerability
	return textOr(raw, &v.Name, (*plain)(v))
}

type openVEXProduct struct {
	ID            string            `json:"@id"`
	Identifiers   map[string]string `json:"identifiers"`
	Hashes        map[string]string `json:"hashes"`
	Subcomponents []openVEXProduct  `json:"subcomponents"`
}

// UnmarshalJSON also reads a bare text.
func (p *openVEXProduct) UnmarshalJSON(raw []byte) error {
	type plain openVEXProduct
	return textOr(raw, &p.ID, (*plain)(p))
}

// textOr reads a text into one place, or anything else into another.
func textOr(raw []byte, text *string, other any) error {
	if len(raw) > 0 && raw[0] == '"' {
		return json.Unmarshal(raw, text)
	}
	return json.Unmarshal(raw, other)
}

func parseOpenVEX(text []byte) (Document, error) {
	var source openVEX
	if err := json.Unmarshal(text, &source); err != nil {
		return Document{}, fmt.Errorf("read OpenVEX: %w", err)
	}
	d := Document{Format: OpenVEX, Author: source.Author}
	var err error
	if d.At, err = timeOf(source.Timestamp); err != nil {
		return Document{}, fmt.Errorf("read OpenVEX: timestamp: %w", err)
	}
	for i := range source.Statements {
		if err := d.addStatement(&source.Statements[i]); err != nil {
			return Document{}, err
		}
	}
	return d, nil
}

// timeOf reads a time of a document; an empty text is no time.
func timeOf(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%.60q is not a time as RFC 3339 writes it", text)
	}
	return at.UTC(), nil
}

// addStatement adds what a statement says of each of its products. The error is about the document as a whole.
func (d *Document) addStatement(s *openVEXStatement) error {
	e, err := s.exception(d)
	if err != nil {
		d.ignore(s.Vulnerability.Name, "%v", err)
		return nil
	}
	if len(s.Products) == 0 {
		d.ignore(e.Vulnerability, "it names no product")
		return nil
	}
	for i := range s.Products {
		p := &s.Products[i]
		outer, err := p.product()
		if err != nil {
			d.ignore(e.Vulnerability, "%v", err)
			continue
		}
		inner := append(append([]openVEXProduct(nil), p.Subcomponents...), s.Subcomponents...)
		if len(inner) == 0 {
			e.Image, e.Package = outer.image, outer.pkg
			if err := d.add(e); err != nil {
				return err
			}
		}
		for j := range inner {
			found, err := within(outer, inner[j].url())
			if err != nil {
				d.ignore(e.Vulnerability, "%v", err)
				continue
			}
			e.Image, e.Package = found.image, found.pkg
			if err := d.add(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// exception is what a statement says, without its products.
func (s *openVEXStatement) exception(d *Document) (judge.Exception, error) {
	e := judge.Exception{Vulnerability: s.Vulnerability.Name, Aliases: s.Vulnerability.Aliases, Stance: s.Status, Author: d.Author, At: d.At}
	if e.Vulnerability == "" {
		// The identifier is an address that often ends in the name.
		e.Vulnerability = s.Vulnerability.ID[strings.LastIndexByte(s.Vulnerability.ID, '/')+1:]
	}
	if e.Vulnerability == "" {
		return e, errors.New("it names no vulnerability")
	}
	if s.Supplier != "" {
		e.Author = s.Supplier
	}
	if s.Timestamp != "" {
		at, err := timeOf(s.Timestamp)
		if err != nil {
			return e, fmt.Errorf("timestamp: %w", err)
		}
		e.At = at
	}
	switch s.Status {
	case judge.NotAffected:
		if s.Justification == "" && s.ImpactStatement == "" {
			return e, errors.New("not_affected needs a justification or an impact_statement")
		}
	case judge.Fixed, judge.Affected, judge.UnderInvestigation:
	default:
		return e, fmt.Errorf("status %.40q is none of not_affected, affected, fixed and under_investigation", s.Status)
	}
	e.Reason = joined(string(s.Status), s.Justification, s.ImpactStatement, s.StatusNotes)
	return e, nil
}

// joined puts the parts of a reason together.
func joined(parts ...string) string {
	var given []string
	for _, each := range parts {
		if each = strings.TrimSpace(each); each != "" {
			given = append(given, each)
		}
	}
	return strings.Join(given, ": ")
}

// url is the package URL of a product, else its identifier.
func (p *openVEXProduct) url() string {
	if purl := p.Identifiers["purl"]; purl != "" {
		return purl
	}
	return p.ID
}

// product reads a product: by its package URL, else by the SHA-256 of an image.
func (p *openVEXProduct) product() (product, error) {
	if strings.HasPrefix(p.url(), "pkg:") {
		return parseProduct(p.url())
	}
	if hash := p.Hashes["sha-256"]; hash != "" {
		digest, err := model.ParseDigest("sha256:" + strings.ToLower(hash))
		if err != nil {
			return product{}, fmt.Errorf("hash of product %.120q: %w", p.ID, err)
		}
		return product{image: judge.ImageProduct{Digest: digest}}, nil
	}
	if p.url() == "" {
		return product{}, errors.New("a product names nothing")
	}
	return parseProduct(p.url())
}
