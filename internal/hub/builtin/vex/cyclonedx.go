package vex

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
	"github.com/perceptor/perceptor/model"
)

// The parts of CycloneDX that matter here: https://cyclonedx.org/docs/1.6/json/.
type cycloneDX struct {
	SerialNumber    string                   `json:"serialNumber"`
	Metadata        *cycloneDXMetadata       `json:"metadata"`
	Components      []cycloneDXComponent     `json:"components"`
	Vulnerabilities []cycloneDXVulnerability `json:"vulnerabilities"`
}

type cycloneDXMetadata struct {
	Timestamp string              `json:"timestamp"`
	Authors   []cycloneDXParty    `json:"authors"`
	Supplier  *cycloneDXParty     `json:"supplier"`
	Component *cycloneDXComponent `json:"component"`
}

type cycloneDXParty struct {
	Name string `json:"name"`
}

type cycloneDXComponent struct {
	BOMRef     string               `json:"bom-ref"`
	Type       string               `json:"type"`
	Name       string               `json:"name"`
	Version    string               `json:"version"`
	PURL       string               `json:"purl"`
	Components []cycloneDXComponent `json:"components"`
}

type cycloneDXVulnerability struct {
	ID         string `json:"id"`
	References []struct {
		ID string `json:"id"`
	} `json:"references"`
	Updated  string             `json:"updated"`
	Analysis *cycloneDXAnalysis `json:"analysis"`
	Affects  []struct {
		Ref      string `json:"ref"`
		Versions []struct {
			Version string `json:"version"`
			Range   string `json:"range"`
			Status  string `json:"status"`
		} `json:"versions"`
	} `json:"affects"`
}

type cycloneDXAnalysis struct {
	State         string `json:"state"`
	Justification string `json:"justification"`
	Detail        string `json:"detail"`
	FirstIssued   string `json:"firstIssued"`
	LastUpdated   string `json:"lastUpdated"`
}

// stances are CycloneDX's states of an analysis.
var stances = map[string]judge.Stance{
	"not_affected": judge.NotAffected, "false_positive": judge.NotAffected, "resolved": judge.Fixed, "resolved_with_pedigree": judge.Fixed,
	"exploitable": judge.Affected, "in_triage": judge.UnderInvestigation,
}

// maxNesting bounds components within components.
const maxNesting = 64

// cycloneDXReader resolves references of one document.
type cycloneDXReader struct {
	Document
	// image is the image that the document as a whole is about; zero when it does not say.
	image judge.ImageProduct
	// about is what the document is about where that is no image; its reference, too.
	about, aboutRef string
	byRef           map[string]string
	// linksCount says that links to other documents count as if they were to this one, because the operator named the
	// repositories that are meant.
	linksCount bool
	serial     string
}

func parseCycloneDX(text []byte, linksCount bool) (Document, error) {
	var source cycloneDX
	if err := json.Unmarshal(text, &source); err != nil {
		return Document{}, fmt.Errorf("read CycloneDX: %w", err)
	}
	r := cycloneDXReader{Document: Document{Format: CycloneDX}, byRef: map[string]string{}, linksCount: linksCount, serial: source.SerialNumber}
	if err := r.index(source.Components, 0); err != nil {
		return Document{}, fmt.Errorf("read CycloneDX: %w", err)
	}
	if err := r.readMetadata(source.Metadata); err != nil {
		return Document{}, fmt.Errorf("read CycloneDX: metadata: %w", err)
	}
	for i := range source.Vulnerabilities {
		if err := r.addVulnerability(&source.Vulnerabilities[i]); err != nil {
			return Document{}, err
		}
	}
	return r.Document, nil
}

// index remembers the package URL of each component.
func (r *cycloneDXReader) index(components []cycloneDXComponent, depth int) error {
	if depth > maxNesting {
		return fmt.Errorf("components within components, deeper than %d", maxNesting)
	}
	for _, each := range components {
		if each.BOMRef != "" {
			r.byRef[each.BOMRef] = each.PURL
		}
		if err := r.index(each.Components, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (r *cycloneDXReader) readMetadata(m *cycloneDXMetadata) (err error) {
	if m == nil {
		return nil
	}
	if r.At, err = timeOf(m.Timestamp); err != nil {
		return fmt.Errorf("timestamp: %w", err)
	}
	switch {
	case len(m.Authors) > 0:
		r.Author = m.Authors[0].Name
	case m.Supplier != nil:
		r.Author = m.Supplier.Name
	}
	c := m.Component
	if c == nil {
		return nil
	}
	r.aboutRef = c.BOMRef
	if p, err := parseProduct(c.PURL); c.PURL != "" && err != nil {
		return err
	} else if c.PURL != "" && p.isImage() {
		r.image = p.image
		return nil
	}
	if c.Type == "container" {
		r.image = imageNamed(c.Name, c.Version)
		return nil
	}
	if r.about = c.PURL; r.about == "" {
		r.about = "a component of type " + c.Type
	}
	return nil
}

// imageNamed is an image that is known by its name, such as registry.example/team/app:1, and by its digest where one is
// given.
func imageNamed(name, version string) judge.ImageProduct {
	name, _, _ = strings.Cut(strings.ToLower(name), "@")
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		name = name[:colon]
	}
	image := judge.ImageProduct{Name: name}
	if digest, err := model.ParseDigest(version); err == nil {
		// The digest says it all, and the name may be any.
		image = judge.ImageProduct{Digest: digest}
	}
	return image
}

// addVulnerability adds what an analysis says of each component that it names.
func (r *cycloneDXReader) addVulnerability(v *cycloneDXVulnerability) error {
	e, err := r.exception(v)
	if err != nil {
		r.ignore(v.ID, "%v", err)
		return nil
	}
	if len(v.Affects) == 0 {
		r.ignore(v.ID, "it names no component (affects)")
		return nil
	}
	for _, each := range v.Affects {
		p, serial, err := r.resolve(each.Ref)
		if err == nil && len(each.Versions) > 0 {
			err = errors.New("affects with versions of its own: give each version's component its own package URL")
		}
		if err != nil {
			r.ignore(v.ID, "%v", err)
			continue
		}
		e.Image, e.Package = p.image, p.pkg
		if e.Image.Serial = serial; serial == "" && e.Image == (judge.ImageProduct{}) {
			e.Image = r.image
		}
		if err := r.add(e); err != nil {
			return err
		}
	}
	return nil
}

func (r *cycloneDXReader) exception(v *cycloneDXVulnerability) (judge.Exception, error) {
	e := judge.Exception{Vulnerability: v.ID, Author: r.Author, At: r.At}
	if v.ID == "" {
		return e, errors.New("it names no vulnerability")
	}
	if v.Analysis == nil {
		return e, errors.New("it has no analysis")
	}
	stance, known := stances[v.Analysis.State]
	if !known {
		return e, fmt.Errorf("analysis state %.40q is not known", v.Analysis.State)
	}
	for _, text := range []string{v.Analysis.LastUpdated, v.Analysis.FirstIssued, v.Updated} {
		at, err := timeOf(text)
		if err != nil {
			return e, err
		}
		if !at.IsZero() {
			e.At = at
			break
		}
	}
	for _, other := range v.References {
		if other.ID != "" && other.ID != v.ID {
			e.Aliases = append(e.Aliases, other.ID)
		}
	}
	e.Stance, e.Reason = stance, joined(v.Analysis.State, v.Analysis.Justification, v.Analysis.Detail)
	return e, nil
}

// bomLink begins a reference into another document: urn:cdx:<serial number>/<version>#<reference>.
const bomLink = "urn:cdx:"

// resolve finds what a reference names: a component of this document, the image that the document is about, a package URL,
// or one of these in the document of an image, whose serial number comes back then.
func (r *cycloneDXReader) resolve(ref string) (p product, serial string, err error) {
	if link, is := strings.CutPrefix(ref, bomLink); is {
		document, inner, found := strings.Cut(link, "#")
		number, _, versioned := strings.Cut(document, "/")
		if !found || !versioned || number == "" || inner == "" {
			return product{}, "", fmt.Errorf("%.120q is no link of the form urn:cdx:SERIAL/VERSION#REFERENCE", ref)
		}
		if serial = "urn:uuid:" + number; !strings.EqualFold(serial, r.serial) {
			p, err = parseProduct(inner)
			return p, serial, err
		}
		ref = inner
	}
	switch purl, known := r.byRef[ref]; {
	case ref == "":
		return product{}, "", errors.New("affects without a reference")
	case r.about != "" && !r.linksCount:
		return product{}, "", fmt.Errorf("the document is about %.120s, which is no image: %w", r.about, errNested)
	case ref == r.aboutRef && r.image != (judge.ImageProduct{}):
		return product{image: r.image}, "", nil
	case known && purl == "":
		return product{}, "", fmt.Errorf("component %.120q has no package URL", ref)
	case known:
		p, err = parseProduct(purl)
	default:
		p, err = parseProduct(ref)
	}
	return p, "", err
}
