package model

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The bounds of what is taken of a cluster. All are far above what platforms allow, and keep what is stored and answered
// within bounds.
const (
	ClusterLength    = 100
	NamespaceLength  = 253
	PodNameLength    = 512
	ReferenceLength  = 1024
	UIDLength        = ReferenceLength + 80 // an image without a pod is told apart by its reference and digest
	ContainersAtMost = 500
)

// CheckCluster says what is wrong with the name of a cluster, which becomes a part of ids.
func CheckCluster(name string) error { return checkWord("cluster", name, ClusterLength) }

// CheckNamespace says what is wrong with the name of a namespace, which becomes a part of ids.
func CheckNamespace(name string) error { return checkWord("namespace", name, NamespaceLength) }

func checkWord(what, word string, longest int) error {
	if word == "" {
		return fmt.Errorf("the %s has no name", what)
	}
	if strings.Contains(word, "/") {
		return fmt.Errorf("%s %.80q: a slash is not allowed", what, word)
	}
	return checkText(what, word, longest)
}

// checkText refuses what no label, id or page can show.
func checkText(what, text string, longest int) error {
	if len(text) > longest {
		return fmt.Errorf("%s %.80q is %d bytes long; at most %d are allowed", what, text, len(text), longest)
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return fmt.Errorf("%s %.80q: control characters and bytes that are not UTF-8 are not allowed", what, text)
	}
	return nil
}

// Check says what is wrong with a pod that a perceiver reports; nil means that it can be taken.
func (p Pod) Check() error {
	if p.UID == "" {
		return fmt.Errorf("pod %.80q has no UID", p.Name)
	}
	if err := checkText("UID", p.UID, UIDLength); err != nil {
		return fmt.Errorf("pod %.80q: %w", p.Name, err)
	}
	for _, each := range []struct{ what, text string }{
		{"name", p.Name}, {"platform", p.Platform.String()}, {"credential", p.Credential},
	} {
		if err := checkText(each.what, each.text, PodNameLength); err != nil {
			return fmt.Errorf("pod %.80q: %w", p.Name, err)
		}
	}
	if len(p.Containers) > ContainersAtMost {
		return fmt.Errorf("pod %.80q has %d containers; at most %d are allowed", p.Name, len(p.Containers), ContainersAtMost)
	}
	for _, c := range p.Containers {
		if err := c.check(); err != nil {
			return fmt.Errorf("pod %.80q, container %.80q: %w", p.Name, c.Name, err)
		}
	}
	return nil
}

func (c Container) check() error {
	if c.Digest != "" {
		if parsed, err := ParseDigest(string(c.Digest)); err != nil || parsed != c.Digest {
			return fmt.Errorf("digest %.80q: want sha256: and 64 lower-case hexadecimal digits", string(c.Digest))
		}
	}
	if c.Reference == "" {
		return fmt.Errorf("it names no image")
	}
	texts := []struct{ what, text string }{{"name", c.Name}, {"kind", string(c.Kind)}, {"image", c.Reference}}
	if c.HubNames != nil {
		texts = append(texts, []struct{ what, text string }{
			{"project", c.HubNames.Project}, {"version", c.HubNames.Version}, {"scan", c.HubNames.Scan},
		}...)
	}
	for _, each := range texts {
		if err := checkText(each.what, each.text, ReferenceLength); err != nil {
			return err
		}
	}
	return nil
}
