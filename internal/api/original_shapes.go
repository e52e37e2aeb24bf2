package api

import (
	"errors"
	"fmt"
	"strings"

	"github.com/perceptor/perceptor/model"
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
func (i originalImage) hubNames(reference string, d model.Digest) *model.HubNames {
	if i.BlackDuckProjectName == "" && i.BlackDuckProjectVersion == "" {
		return nil
	}
	repository, tag := model.SplitReference(reference)
	names := model.DefaultHubNames(model.Name{Repository: repository, Tag: tag}, d)
	if i.BlackDuckProjectName != "" {
		names.Project = i.BlackDuckProjectName
	}
	if i.BlackDuckProjectVersion != "" {
		names.Version = i.BlackDuckProjectVersion
	}
	return &names
}

// container turns what was sent into the nouns of everybody else.
func (c originalContainer) container() (model.Container, error) {
	if c.Image.Sha == "" {
		return model.Container{}, errors.New("no Sha: want the 64 hexadecimal digits of the digest that the runtime reports")
	}
	d, err := model.ParseDigest(c.Image.Sha)
	if err != nil {
		return model.Container{}, fmt.Errorf("wrong Sha: %w", err)
	}
	reference := c.Image.reference()
	return model.Container{Name: c.Name, Reference: reference, Digest: d, HubNames: c.Image.hubNames(reference, d)}, nil
}

// The priority of an image is read and not used: pods come before images without a pod, and both share out the backlog
// fairly among the namespaces, which one number for all clusters could not do.

// pod turns what was sent into the nouns of everybody else, or says what is wrong with it.
func (p originalPod) pod() (model.Pod, error) {
	pod := model.Pod{UID: p.UID, Namespace: p.Namespace, Name: p.Name, Containers: make([]model.Container, 0, min(len(p.Containers), model.ContainersAtMost))}
	if pod.UID == "" {
		pod.UID = p.Namespace + "/" + p.Name
	}
	if len(p.Containers) > model.ContainersAtMost {
		return pod, fmt.Errorf("%d Containers; at most %d are possible", len(p.Containers), model.ContainersAtMost)
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
func (i originalImage) bare() (model.Pod, error) {
	c, err := originalContainer{Image: i}.container()
	if err != nil {
		return model.Pod{}, err
	}
	p := model.Pod{UID: c.Reference + "@" + string(c.Digest), Bare: true, Containers: []model.Container{c}}
	return p, checkPod(p)
}
