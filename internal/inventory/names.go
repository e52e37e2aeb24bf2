package inventory

import (
	"strings"

	"github.com/perceptor/perceptor/model"
)

// reasonLength and urlLength bound what is kept of texts that others wrote.
const (
	reasonLength = 300
	urlLength    = 400
)

// repositoryOf is a reference without its tag and digest.
func repositoryOf(reference string) string {
	reference, _, _ = strings.Cut(reference, "@")
	if colon := strings.LastIndexByte(reference, ':'); colon > strings.LastIndexByte(reference, '/') {
		return reference[:colon]
	}
	return reference
}

// tagOf is the tag of a reference, empty without one.
func tagOf(reference string) string {
	reference, _, _ = strings.Cut(reference, "@")
	return strings.TrimPrefix(reference[len(repositoryOf(reference)):], ":")
}

// Clip cuts a reason to what is kept of one.
func Clip(reason string) string { return clip(reason, reasonLength) }

// clip cuts a text to so many bytes, between two characters.
func clip(text string, most int) string { return model.Clip(text, most) }
