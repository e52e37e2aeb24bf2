package model

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The bounds of what perceivers report, in bytes. Real platforms and registries stay below all of them. What is above is a
// mistake or an attack, and would not fit into what is stored of a cluster.
const (
	ClusterLength   = 100
	NamespaceLength = 253
	PodNameLength   = 253 // of names of pods and containers: Kubernetes' own bound
	// RepositoryLength is that of registry and repository together: a host of 253, a slash, a path of 255.
	RepositoryLength = 509
	// TagLength is that of registries.
	TagLength        = 128
	ReferenceLength  = RepositoryLength + 1 + TagLength
	HubNameLength    = 255
	UIDLength        = ReferenceLength + 80 // the UID of an image without a pod is its reference and digest
	ContainersAtMost = 500
	ProblemLength    = 300 // a sentence
	EngineLength     = 80  // Docker's IDs have 36 or 59 characters
)

// ReservedNamespaces is how the names of namespaces begin that no platform has.
const ReservedNamespaces = "_"

// CheckCluster says what is wrong with the name of a cluster, which becomes a part of IDs.
func CheckCluster(name string) error {
	if name == "" {
		return errors.New("the cluster has no name")
	}
	if strings.ContainsRune(name, '/') {
		return fmt.Errorf("cluster %.80q: there is a slash in it", name)
	}
	return checkText("cluster", name, ClusterLength)
}

// CheckNamespace says what is wrong with the name of a namespace, which becomes a part of IDs.
func CheckNamespace(name string) error { return CheckName("namespace", name, NamespaceLength) }

// CheckName says what is wrong with a name that becomes a part of IDs and paths: it must not be empty, have a slash, a space
// or a control character, or be longer than so many bytes. What is the kind of name, for the error.
func CheckName(what, name string, longest int) error {
	switch {
	case name == "":
		return fmt.Errorf("%s is missing", what)
	case strings.ContainsRune(name, '/'):
		return fmt.Errorf("%s %.80q: there is a slash in it", what, name)
	case strings.ContainsFunc(name, unicode.IsSpace):
		return fmt.Errorf("%s %.80q: there is a space in it", what, name)
	}
	return checkText(what, name, longest)
}

// checkText refuses what no platform sends: control characters, broken text, more than so many bytes.
func checkText(what, text string, longest int) error {
	switch {
	case len(text) > longest:
		return fmt.Errorf("%s has %d characters; at most %d are possible", what, len(text), longest)
	case !utf8.ValidString(text):
		return fmt.Errorf("%s %.80q: not valid UTF-8", what, text)
	case strings.ContainsFunc(text, unicode.IsControl):
		return fmt.Errorf("%s %.80q: there is a control character in it", what, text)
	}
	return nil
}

// Check says what is wrong with a pod that a perceiver reports; nil means that it can be accepted. A pod needs namespace, name
// and UID, a bare image one container and no name. The error does not name the pod.
func (p Pod) Check() error {
	switch {
	case p.Bare && len(p.Containers) != 1:
		return errors.New("an image by itself has one container")
	case p.Bare && p.Name != "":
		return errors.New("an image by itself is no pod and has no name")
	case p.UID == "":
		return errors.New("uid is missing; a platform without such ids gives namespace and name")
	case !p.Bare:
		if err := p.Key().Check(); err != nil {
			return err
		}
	}
	if err := errors.Join(p.Workload.check(), CheckLabels(p.Labels)); err != nil {
		return err
	}
	if err := checkText("platform", p.Platform.String(), PodNameLength); err != nil {
		return err
	}
	if err := checkText("platform problem", p.PlatformProblem, ProblemLength); err != nil {
		return err
	}
	if err := checkText("credential", p.Credential, PodNameLength); err != nil {
		return err
	}
	if len(p.Containers) > ContainersAtMost {
		return fmt.Errorf("%d containers; at most %d are possible", len(p.Containers), ContainersAtMost)
	}
	for i, c := range p.Containers {
		if err := c.check(); err != nil {
			return fmt.Errorf("container %d: %w", i, err)
		}
	}
	return checkText("uid", p.UID, UIDLength)
}

// Check says what is wrong with the key of a pod; nil means that it can be accepted. A namespace of a platform does not begin
// with an underscore.
func (k PodKey) Check() error {
	if strings.HasPrefix(k.Namespace, ReservedNamespaces) {
		return fmt.Errorf("namespace %.80q: names that begin with an underscore are Perceptor's own", k.Namespace)
	}
	if err := CheckNamespace(k.Namespace); err != nil {
		return err
	}
	if err := CheckName("name", k.Name, PodNameLength); err != nil {
		return err
	}
	return checkText("uid", k.UID, UIDLength)
}

func (c Container) check() error {
	if err := checkText("name", c.Name, PodNameLength); err != nil {
		return err
	}
	switch c.Kind {
	case "", ContainerMain, ContainerInit, ContainerSidecar, ContainerEphemeral:
	default:
		return fmt.Errorf("kind %.40q: want container, init, sidecar or ephemeral", c.Kind)
	}
	if err := checkReference(c.Reference); err != nil {
		return err
	}
	if c.Digest != "" {
		if err := c.Digest.Check(); err != nil {
			return err
		}
	}
	if err := checkText("problem", c.Problem, ProblemLength); err != nil {
		return err
	}
	if err := checkEngine(c); err != nil {
		return err
	}
	if strings.ContainsFunc(c.Repository, unicode.IsSpace) {
		return fmt.Errorf("repository %.80q: there is a space in it", c.Repository)
	}
	if err := checkText("repository", c.Repository, RepositoryLength); err != nil {
		return err
	}
	if c.HubNames == nil {
		return nil
	}
	return c.HubNames.Check()
}

// checkEngine bounds the ID of an engine, which becomes a part of a queue's name.
func checkEngine(c Container) error {
	if c.Engine == "" {
		return nil
	}
	if c.Digest == "" || c.Problem != "" {
		return errors.New("an image of an engine needs the digest that the engine gives it, and has no problem")
	}
	return CheckName("engine", c.Engine, EngineLength)
}

// checkReference bounds "repository[:tag]"; whether a registry knows it is found out when it is pulled.
func checkReference(reference string) error {
	repository, tag := SplitReference(reference)
	if repository == "" {
		return errors.New("image without a repository")
	}
	if strings.ContainsFunc(reference, unicode.IsSpace) {
		return fmt.Errorf("image %.80q: there is a space in it", reference)
	}
	if err := checkText("repository", repository, RepositoryLength); err != nil {
		return err
	}
	return checkText("tag", tag, TagLength)
}

// SplitReference parts "registry.example:5000/app:1" into repository and tag. A colon before a slash is a port.
func SplitReference(reference string) (repository, tag string) {
	if i := strings.LastIndexByte(reference, ':'); i > strings.LastIndexByte(reference, '/') {
		return reference[:i], reference[i+1:]
	}
	return reference, ""
}
