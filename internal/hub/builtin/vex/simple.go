package vex

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
)

// simple is one exception of the YAML form. The names of the policy file's overrides are taken too.
type simple struct {
	ID         string    `yaml:"id"`
	PURL       string    `yaml:"purl"`
	Repository string    `yaml:"repository"`
	Reason     string    `yaml:"reason"`
	Author     string    `yaml:"author"`
	Expiry     time.Time `yaml:"expiry"`

	Vulnerability string    `yaml:"vulnerability"`
	Component     string    `yaml:"component"`
	Until         time.Time `yaml:"until"`
}

// parseSimple reads the YAML form: a list under "exceptions". One that is wrong makes all of it wrong, since a person wrote
// it and can put it right.
func parseSimple(text []byte) (Document, error) {
	var document struct {
		Author     string   `yaml:"author"`
		Exceptions []simple `yaml:"exceptions"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&document); err != nil {
		return Document{}, fmt.Errorf("read exceptions: %w", err)
	}
	var more any
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return Document{}, errors.New("read exceptions: there is a second document after ---; put all exceptions into one list")
	}
	d := Document{Format: Simple, Author: document.Author}
	for i, each := range document.Exceptions {
		e, err := each.exception()
		if err != nil {
			return Document{}, fmt.Errorf("exception number %d: %w", i+1, err)
		}
		if e.Author == "" {
			e.Author = document.Author
		}
		if err := d.add(e); err != nil {
			return Document{}, err
		}
	}
	return d, nil
}

func (s simple) exception() (judge.Exception, error) {
	var e judge.Exception
	for _, each := range []struct {
		name, own, other string
		into             *string
	}{{"id", s.ID, s.Vulnerability, &e.Vulnerability}, {"purl", s.PURL, s.Component, &e.Component}} {
		switch {
		case each.own != "" && each.other != "":
			return e, fmt.Errorf("%s is given twice, under two names", each.name)
		case each.own == "" && each.other == "":
			return e, fmt.Errorf("%s is missing", each.name)
		}
		*each.into = each.own + each.other
	}
	if e.Until = s.Expiry; e.Until.IsZero() {
		e.Until = s.Until
	}
	e.Repository, e.Reason, e.Author, e.Stance = s.Repository, s.Reason, s.Author, judge.Accepted
	return e, nil
}
