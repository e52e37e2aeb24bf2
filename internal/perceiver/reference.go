package perceiver

import (
	"strings"
	"unicode/utf8"

	"github.com/perceptor/perceptor/model"
)

// LongestReference is far above what any registry accepts, in bytes; what is longer is not worth keeping for 100,000 pods.
const LongestReference = 4096

// SplitReference takes a reference apart: "host:5000/team/app:1@sha256:..." has all three. A digest that is none leaves
// everything empty, and so does one without a repository.
func SplitReference(reference string) (repository, tag string, digest model.Digest) {
	repository, sum, pinned := strings.Cut(reference, "@")
	if pinned {
		parsed, err := model.ParseDigest(sum)
		if err != nil || !strings.HasPrefix(sum, model.DigestPrefix) {
			return "", "", ""
		}
		digest = parsed
	}
	if colon := strings.LastIndexByte(repository, ':'); colon > strings.LastIndexByte(repository, '/') {
		repository, tag = repository[:colon], repository[colon+1:]
	}
	if !Plain(repository) || !Plain(tag) || repository == "" {
		return "", "", ""
	}
	return repository, tag, digest
}

// Plain reports whether a part of a reference has nothing in it that no registry's name has.
func Plain(part string) bool {
	for i := range len(part) {
		if part[i] <= ' ' || part[i] >= 0x7f {
			return false
		}
	}
	return true
}

// IsConfiguration reports whether a reference is only the digest of an image's configuration, which no registry serves.
func IsConfiguration(reference string) bool {
	_, err := model.ParseDigest(reference)
	return err == nil
}

// HasHost reports whether a repository begins with its registry, by Docker's rule.
func HasHost(repository string) bool {
	first, _, found := strings.Cut(repository, "/")
	return found && (strings.ContainsAny(first, ".:") || first == "localhost")
}

// JoinReference is repository with tag, where there is one.
func JoinReference(repository, tag string) string {
	return model.Name{Repository: repository, Tag: tag}.Reference()
}

// WithHost is a repository's whole name: Docker Hub is meant where none is named.
func WithHost(repository string) string {
	const hub, official = "docker.io/", "library/"
	name := repository
	if HasHost(repository) {
		rest, found := strings.CutPrefix(repository, hub)
		if !found {
			return repository
		}
		name = rest
	}
	if !strings.Contains(name, "/") {
		name = official + name
	}
	return hub + name
}

// Clip cuts a text to so many bytes at the most, between characters. What is not valid UTF-8 is replaced.
func Clip(text string, longest int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= longest {
		return text
	}
	for longest > 0 && !utf8.RuneStart(text[longest]) {
		longest--
	}
	return text[:longest]
}
