package api

import (
	"errors"
	"fmt"
	"strings"

	"github.com/perceptor/perceptor/internal/image"
)

// The bodies of the original have the names of Go fields as keys, in no particular case. Those of both generations are
// read by one set of types: v0.0.14 sent Name and DockerImage, the last releases the rest.

// originalImage is an image in a request.
type originalImage struct {
	Name                    string `json:",omitempty"`
	DockerImage             string `json:",omitempty"`
	Repository              string
	Tag                     string
	Sha                     string
	Priority                *int
	BlackDuckProjectName    string
	BlackDuckProjectVersion string
}

// originalContainer is a container in a request.
type originalContainer struct {
	Image originalImage
	Name  string
}

// originalPod is a pod in a request.
type originalPod struct {
	Name       string
	UID        string
	Namespace  string
	Containers []originalContainer
}

// reference is what the image is pulled by, apart from its digest. The first generation sent the tag only inside
// DockerImage.
func (i originalImage) reference() string {
	repository, tag := i.Repository, i.Tag
	if repository == "" {
		repository = i.Name
		if rest, found := strings.CutPrefix(i.DockerImage, repository+":"); found && !strings.ContainsAny(rest, "/@:") {
			tag = rest
		}
	}
	if tag == "" {
		return repository
	}
	return repository + ":" + tag
}

// hubNames are set where the request says what the image is called at the hub; what it leaves out is as for any other.
func (i originalImage) hubNames(reference string, d image.Digest) *image.HubNames {
	if i.BlackDuckProjectName == "" && i.BlackDuckProjectVersion == "" {
		return nil
	}
	repository, tag := splitReference(reference)
	names := image.DefaultHubNames(image.Name{Repository: repository, Tag: tag}, d)
	if i.BlackDuckProjectName != "" {
		names.Project = i.BlackDuckProjectName
	}
	if i.BlackDuckProjectVersion != "" {
		names.Version = i.BlackDuckProjectVersion
	}
	return &names
}

// container turns what was sent into the nouns of everybody else.
func (c originalContainer) container() (image.Container, error) {
	if c.Image.Sha == "" {
		return image.Container{}, errors.New("no Sha: want the 64 hexadecimal digits of the digest that the runtime reports")
	}
	d, err := image.ParseDigest(c.Image.Sha)
	if err != nil {
		return image.Container{}, fmt.Errorf("wrong Sha: %w", err)
	}
	reference := c.Image.reference()
	return image.Container{Name: c.Name, Reference: reference, Digest: d, HubNames: c.Image.hubNames(reference, d)}, nil
}

// The priority of an image is read and not used: pods come before images without a pod, and both share out the backlog
// fairly among the namespaces, which one number for all clusters could not do.

// pod turns what was sent into the nouns of everybody else, or says what is wrong with it.
func (p originalPod) pod() (image.Pod, error) {
	pod := image.Pod{UID: p.UID, Namespace: p.Namespace, Name: p.Name, Containers: make([]image.Container, 0, min(len(p.Containers), image.ContainersAtMost))}
	if pod.UID == "" {
		pod.UID = p.Namespace + "/" + p.Name
	}
	if len(p.Containers) > image.ContainersAtMost {
		return pod, fmt.Errorf("%d Containers; at most %d are possible", len(p.Containers), image.ContainersAtMost)
	}
	for i, each := range p.Containers {
		c, err := each.container()
		if err != nil {
			return pod, fmt.Errorf("container %d: %w", i, err)
		}
		pod.Containers = append(pod.Containers, c)
	}
	return pod, checkPod(pod)
}

// bare turns an image that was sent by itself into the one container of no pod.
func (i originalImage) bare() (image.Pod, error) {
	c, err := originalContainer{Image: i}.container()
	if err != nil {
		return image.Pod{}, err
	}
	p := image.Pod{UID: c.Reference + "@" + string(c.Digest), Bare: true, Containers: []image.Container{c}}
	return p, checkPod(p)
}
