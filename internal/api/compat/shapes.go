package compat

import (
	"errors"
	"fmt"
	"strings"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/model"
)

// The keys of the bodies are the names of these fields, in upper or lower case. One set of types reads the bodies of all
// releases: v0.0.14 sends Name and DockerImage, the last releases send the rest.

// imageBody is an image in a request. Its priority is read and not used: pods come before images without a pod, and
// namespaces share the backlog fairly. One number for all clusters could not do that.
type imageBody struct {
	Name                    string `json:",omitempty"`
	DockerImage             string `json:",omitempty"`
	Repository              string
	Tag                     string
	Sha                     string
	Priority                *int
	BlackDuckProjectName    string
	BlackDuckProjectVersion string
}

// containerBody is a container in a request.
type containerBody struct {
	Image imageBody
	Name  string
}

// podBody is a pod in a request.
type podBody struct {
	Name       string
	UID        string
	Namespace  string
	Containers []containerBody
}

// reference is what the image is pulled by, apart from its digest. The first releases sent the tag only inside
// DockerImage.
func (i imageBody) reference() string {
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

// hubNames are set when the request names the project or version in the hub. A name that it leaves out is the default one.
func (i imageBody) hubNames(reference string, d model.Digest) *model.HubNames {
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

// container turns a container of a request into a noun of Perceptor.
func (c containerBody) container() (model.Container, error) {
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

// pod turns a pod of a request into a noun of Perceptor, or says what is wrong with it.
func (p podBody) pod() (model.Pod, error) {
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
	return pod, api.CheckPod(pod)
}

// bare turns an image without a pod into a noun of Perceptor: a bare pod of one container.
func (i imageBody) bare() (model.Pod, error) {
	c, err := containerBody{Image: i}.container()
	if err != nil {
		return model.Pod{}, err
	}
	p := model.Pod{UID: c.Reference + "@" + string(c.Digest), Bare: true, Containers: []model.Container{c}}
	return p, api.CheckPod(p)
}
