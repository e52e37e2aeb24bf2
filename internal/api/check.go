package api

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/perceptor/perceptor/model"
)

// The bounds of what perceivers report, in bytes. Real platforms and registries stay below all of them. A longer name is a
// mistake or an attack, and would not fit into the state of a workflow.
const (
	// MaxName is for names of namespaces, pods and containers. Kubernetes has the same bound.
	MaxName = 253
	// maxDomain is for the name of a domain.
	maxDomain = 63
	// maxRepository is for registry and repository together: a host of 253, a slash, a path of 255.
	maxRepository = 509
	// maxTag is for a tag. Registries have the same bound.
	maxTag = 128
	// maxHubName is for a name in a hub.
	maxHubName = 255
)

// reservedPrefix begins the names of Perceptor's own namespaces. No platform has such a name.
const reservedPrefix = "_"

// maxUID leaves room for namespace and name, or for repository and digest, where a platform has no UIDs.
const maxUID = 700

// CheckDomain says what is wrong with the name of a set of scanners, which becomes a part of the names of queues.
func CheckDomain(name string) error { return CheckName("domain", name, maxDomain) }

// CheckPod says what is wrong with a reported pod; nil means that it can be stored.
func CheckPod(p model.Pod) error {
	switch {
	case p.Bare && (len(p.Containers) != 1 || p.Containers[0].Digest == ""):
		return errors.New("an image by itself has one container, with a digest")
	case p.Bare && p.Name != "":
		return errors.New("an image by itself is no pod and has no name")
	case p.UID == "":
		return errors.New("uid is missing; a platform without such ids gives namespace and name")
	case !p.Bare:
		if err := CheckKey(p.Key()); err != nil {
			return err
		}
	}
	if err := checkText("platform", p.Platform.String(), MaxName); err != nil {
		return err
	}
	if err := checkText("credential", p.Credential, MaxName); err != nil {
		return err
	}
	if len(p.Containers) > model.ContainersAtMost {
		return fmt.Errorf("%d containers; at most %d are possible", len(p.Containers), model.ContainersAtMost)
	}
	for i, c := range p.Containers {
		if err := checkContainer(c); err != nil {
			return fmt.Errorf("container %d: %w", i, err)
		}
	}
	if err := checkText("uid", p.UID, maxUID); err != nil {
		return err
	}
	return p.Check()
}

// CheckKey says what is wrong with the key of a pod; nil means that it can be stored.
func CheckKey(k model.PodKey) error {
	if err := CheckName("namespace", k.Namespace, MaxName); err != nil {
		return err
	}
	if err := CheckName("name", k.Name, MaxName); err != nil {
		return err
	}
	return checkText("uid", k.UID, maxUID)
}

// checkContainer says what is wrong with a reported container.
func checkContainer(c model.Container) error {
	if err := checkText("name", c.Name, MaxName); err != nil {
		return err
	}
	switch c.Kind {
	case "", model.ContainerMain, model.ContainerInit, model.ContainerSidecar, model.ContainerEphemeral:
	default:
		return fmt.Errorf("kind %.40q: want container, init, sidecar or ephemeral", c.Kind)
	}
	if err := checkReference(c.Reference); err != nil {
		return err
	}
	if c.Digest != "" {
		if d, err := model.ParseDigest(string(c.Digest)); err != nil {
			return err
		} else if d != c.Digest {
			return fmt.Errorf("digest %q: want %q in front", c.Digest, "sha256:")
		}
	}
	if c.HubNames == nil {
		return nil
	}
	return errors.Join(
		checkText("project at the hub", c.HubNames.Project, maxHubName),
		checkText("version at the hub", c.HubNames.Version, maxHubName),
		checkText("scan at the hub", c.HubNames.Scan, maxHubName))
}

// checkReference checks the form of "repository[:tag]". Whether a registry knows the image shows when it is pulled.
func checkReference(reference string) error {
	repository, tag := SplitReference(reference)
	if repository == "" {
		return errors.New("image without a repository")
	}
	if strings.ContainsFunc(reference, unicode.IsSpace) {
		return fmt.Errorf("image %.80q: there is a space in it", reference)
	}
	if err := checkText("repository", repository, maxRepository); err != nil {
		return err
	}
	return checkText("tag", tag, maxTag)
}

// SplitReference splits "registry.example:5000/app:1" into repository and tag. A colon before a slash belongs to a port.
func SplitReference(reference string) (repository, tag string) {
	if i := strings.LastIndexByte(reference, ':'); i > strings.LastIndexByte(reference, '/') {
		return reference[:i], reference[i+1:]
	}
	return reference, ""
}

// CheckName demands a name of at most so many bytes that can be a part of a workflow ID and of a path.
func CheckName(what, name string, most int) error {
	switch {
	case name == "":
		return fmt.Errorf("%s is missing", what)
	case strings.ContainsRune(name, '/'):
		return fmt.Errorf("%s %.80q: there is a slash in it", what, name)
	case strings.ContainsFunc(name, unicode.IsSpace):
		return fmt.Errorf("%s %.80q: there is a space in it", what, name)
	case what == "namespace" && strings.HasPrefix(name, reservedPrefix):
		return fmt.Errorf("namespace %.80q: names that begin with an underscore are Perceptor's own", name)
	}
	return checkText(what, name, most)
}

// checkText refuses what no platform sends: control characters, bytes that are not UTF-8, more than so many bytes.
func checkText(what, text string, most int) error {
	switch {
	case len(text) > most:
		return fmt.Errorf("%s has %d characters; at most %d are possible", what, len(text), most)
	case !utf8.ValidString(text):
		return fmt.Errorf("%s %.80q: not valid UTF-8", what, text)
	case strings.ContainsFunc(text, unicode.IsControl):
		return fmt.Errorf("%s %.80q: there is a control character in it", what, text)
	}
	return nil
}
