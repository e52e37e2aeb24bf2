package judge

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/model"
)

// Stance is what the author of an exception says of a vulnerability.
type Stance string

// The stances. The first three take a finding out of every rule. The last two take none out: they end an older statement of
// the same thing.
const (
	Accepted           Stance = "accepted"
	NotAffected        Stance = "not_affected"
	Fixed              Stance = "fixed"
	Affected           Stance = "affected"
	UnderInvestigation Stance = "under_investigation"
)

func (s Stance) excepts() bool { return s == Accepted || s == NotAffected || s == Fixed || s == "" }

// Exception takes a vulnerability of some components out of every rule, because a person decided so. The finding stays
// visible. An exception names components by Component or by Package, or all of one image by Image; it never means
// everything because it names nothing.
type Exception struct {
	// Vulnerability is its id or another name of it; Aliases are more names.
	Vulnerability string   `yaml:"vulnerability" json:"vulnerability"`
	Aliases       []string `yaml:"-" json:"aliases,omitempty"`
	// Component is a pattern with * and ? of a package URL or a name. A pattern without a version means every version.
	Component string `yaml:"component" json:"component,omitempty"`
	// Package is a package URL, compared part by part. One without a version means every version, and what it does not say
	// may be anything.
	Package string `yaml:"-" json:"package,omitempty"`
	// Image is the image that is meant; the zero value means every image.
	Image ImageProduct `yaml:"-" json:"image,omitzero"`
	// Repository is a pattern; empty means all.
	Repository string `yaml:"repository" json:"repository,omitempty"`
	Reason     string `yaml:"reason" json:"reason"`
	Author     string `yaml:"author" json:"author,omitempty"`
	// Until is the first moment at which it no longer holds; left out, it holds for ever.
	Until time.Time `yaml:"until" json:"until,omitzero"`
	// Stance is Accepted when empty.
	Stance Stance `yaml:"-" json:"stance,omitempty"`
	// At is when it was said: of several statements of VEX documents about one finding, the newest counts.
	At time.Time `yaml:"-" json:"at,omitzero"`
	// Origin is where it was loaded from.
	Origin string `yaml:"-" json:"origin,omitempty"`

	component, repository patterns
	pkg                   *packageURL
}

// ImageProduct names an image, or some.
type ImageProduct struct {
	// Digest is that of the image; empty means any.
	Digest model.Digest `json:"digest,omitempty"`
	// Repository is the whole name without tag and digest, registry included; empty means any.
	Repository string `json:"repository,omitempty"`
	// Name is the end of that name, such as "app" or "library/nginx"; empty means any.
	Name string `json:"name,omitempty"`
	// Serial is the serial number of the document that says what is in the image; empty means any.
	Serial string `json:"serial,omitempty"`
}

// match reports whether an image is meant.
func (p ImageProduct) match(image *Image) bool {
	repository := strings.ToLower(image.Repository)
	switch {
	case p.Digest != "" && !image.has(p.Digest):
		return false
	case p.Repository != "" && !strings.EqualFold(p.Repository, repository) && !strings.EqualFold(p.Repository+"/"+p.Name, repository):
		return false
	case p.Name != "" && !strings.HasSuffix("/"+repository, "/"+strings.ToLower(p.Name)):
		return false
	}
	return p.Serial == "" || image.hasSerial(p.Serial)
}

// What exceptions may hold, in bytes. Reasons of published documents are a few sentences.
const (
	maxVulnerability = 200
	maxPattern       = 1000
	maxReason        = 4000
	maxAliases       = 50
)

// Compile checks an exception and prepares its patterns.
func (e *Exception) Compile() error {
	e.Vulnerability = strings.TrimSpace(e.Vulnerability)
	for _, each := range []struct{ name, value string }{{"vulnerability", e.Vulnerability}, {"reason", e.Reason}} {
		if strings.TrimSpace(each.value) == "" {
			return fmt.Errorf("%s is missing", each.name)
		}
	}
	if e.Component == "" && e.Package == "" && e.Image == (ImageProduct{}) {
		return errors.New("component is missing")
	}
	if strings.ContainsAny(e.Vulnerability, "*?") {
		return errors.New("vulnerability is a pattern: name one vulnerability by its id")
	}
	if len(e.Aliases) > maxAliases {
		return fmt.Errorf("%d aliases; %d are the most", len(e.Aliases), maxAliases)
	}
	for _, each := range append([]string{e.Vulnerability}, e.Aliases...) {
		if err := checkText("vulnerability", each, maxVulnerability); err != nil {
			return err
		}
	}
	for _, each := range []struct {
		name, value string
		most        int
	}{
		{"component", e.Component, maxPattern},
		{"package", e.Package, maxPattern},
		{"repository", e.Repository, maxPattern},
		{"reason", e.Reason, maxReason},
		{"author", e.Author, maxPattern},
	} {
		if err := checkText(each.name, each.value, each.most); err != nil {
			return err
		}
	}
	return e.compilePatterns()
}

func (e *Exception) compilePatterns() (err error) {
	if e.Component != "" {
		if e.component, err = compilePatterns(e.Component); err != nil {
			return fmt.Errorf("component: %w", err)
		}
	}
	if e.Package != "" {
		if e.pkg, err = parsePackageURL(e.Package); err != nil {
			return fmt.Errorf("package: %w", err)
		}
	}
	if e.Repository != "" {
		if e.repository, err = compilePatterns(e.Repository); err != nil {
			return fmt.Errorf("repository: %w", err)
		}
	}
	return nil
}

// checkText refuses what cannot be kept or shown.
func checkText(name, value string, most int) error {
	switch {
	case len(value) > most:
		return fmt.Errorf("%s has %d bytes; %d is the most", name, len(value), most)
	case !utf8.ValidString(value):
		return fmt.Errorf("%s is not UTF-8 text", name)
	case strings.ContainsFunc(value, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r' }):
		return fmt.Errorf("%s holds control characters", name)
	}
	return nil
}

// active reports whether the exception holds at a time.
func (e *Exception) active(now time.Time) bool { return e.Until.IsZero() || now.Before(e.Until) }

// covers reports whether the exception is about this component of this image.
func (e *Exception) covers(c *Judged, image *Image) bool {
	if !e.Image.match(image) || len(e.repository) > 0 && !e.repository.match(image.Repository) {
		return false
	}
	if len(e.component) > 0 && !e.component.match(append(purlForms(c.PURL), c.Name)...) {
		return false
	}
	return e.pkg == nil || e.pkg.match(c.PURL)
}

// Register is exceptions prepared for judging. A nil one holds none.
type Register struct {
	all []Exception
	// byName are places in all by each name of the vulnerability, in lower case.
	byName      map[string][]int
	fingerprint string
}

// NewRegister checks exceptions and prepares them.
func NewRegister(all []Exception) (*Register, error) {
	r := &Register{all: all, byName: map[string][]int{}}
	for i := range all {
		e := &all[i]
		if err := e.Compile(); err != nil {
			return nil, fmt.Errorf("exception number %d (vulnerability %.80q): %w", i+1, e.Vulnerability, err)
		}
		for _, name := range append([]string{e.Vulnerability}, e.Aliases...) {
			name = strings.ToLower(name)
			if known := r.byName[name]; len(known) == 0 || known[len(known)-1] != i {
				r.byName[name] = append(known, i)
			}
		}
	}
	// Exceptions hold nothing that cannot be written as JSON.
	raw, _ := json.Marshal(all)
	sum := sha256.Sum256(raw)
	r.fingerprint = hex.EncodeToString(sum[:8])
	return r, nil
}

// accepts finds the exception for a finding; nil when there is none. What a person accepted counts first. Of the statements
// of VEX documents the newest counts; of equally old ones, the one that excepts nothing.
func (r *Register) accepts(c *Judged, f *osv.Finding, image *Image, now time.Time) *Acceptance {
	if r == nil {
		return nil
	}
	var newest *Exception
	for _, name := range append([]string{f.ID}, f.Aliases...) {
		for _, i := range r.byName[strings.ToLower(name)] {
			e := &r.all[i]
			if !e.active(now) || !e.covers(c, image) {
				continue
			}
			if e.Stance == "" || e.Stance == Accepted {
				return e.acceptance()
			}
			if newest == nil || e.At.After(newest.At) || e.At.Equal(newest.At) && !e.Stance.excepts() {
				newest = e
			}
		}
	}
	if newest == nil || !newest.Stance.excepts() {
		return nil
	}
	return newest.acceptance()
}

func (e *Exception) acceptance() *Acceptance {
	stance := e.Stance
	if stance == "" {
		stance = Accepted
	}
	return &Acceptance{Stance: stance, Reason: e.Reason, Author: e.Author, Until: e.Until, Origin: e.Origin}
}

// nextEnd is when the next one ends; zero when none will.
func (r *Register) nextEnd(now time.Time) time.Time {
	var next time.Time
	if r == nil {
		return next
	}
	for i := range r.all {
		if until := r.all[i].Until; until.After(now) && (next.IsZero() || until.Before(next)) {
			next = until
		}
	}
	return next
}

// basis names the exceptions as they hold at a time.
func (r *Register) basis(now time.Time) string {
	if r == nil {
		return "none"
	}
	active := 0
	for i := range r.all {
		if r.all[i].active(now) {
			active++
		}
	}
	return fmt.Sprintf("%s-%d", r.fingerprint, active)
}
