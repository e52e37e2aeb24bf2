package docker

import (
	"slices"
	"strings"
	"unicode"

	"github.com/moby/moby/api/types/container"

	"github.com/perceptor/perceptor/internal/perceiver"
	"github.com/perceptor/perceptor/model"
)

// The labels of Compose and of Swarm that are read.
const (
	composeProject = "com.docker.compose.project"
	composeService = "com.docker.compose.service"
	composeNumber  = "com.docker.compose.container-number"
	composeOneOff  = "com.docker.compose.oneoff"
	swarmTask      = "com.docker.swarm.task.id"
	swarmService   = "com.docker.swarm.service.name"
	stackNamespace = "com.docker.stack.namespace"
)

// defaultNamespace is the namespace of what belongs to no Compose project and no stack.
const defaultNamespace = "default"

// shortID is how much of an ID names a container that has no name.
const shortID = 12

// containerPod is a container as it is reported.
func containerPod(c container.Summary, img imageInfo) model.Pod {
	pod := model.Pod{UID: cleanUID(c.ID), Namespace: defaultNamespace, Name: containerName(c), Platform: img.platform}
	name := pod.Name
	switch {
	case c.Labels[swarmTask] != "":
		// Another engine manages the Swarm, or it no longer knows the task.
		pod.Namespace = cleanNamespace(c.Labels[stackNamespace])
		name = cleanName(c.Labels[swarmService], name)
		pod.Workload = workload(swarmKind, c.Labels[swarmService])
	case c.Labels[composeProject] != "":
		pod.Namespace = cleanNamespace(c.Labels[composeProject])
		if service := c.Labels[composeService]; service != "" {
			name = cleanName(service, name)
			pod.Workload = workload(composeKind, service)
			if number := c.Labels[composeNumber]; number != "" && !strings.EqualFold(c.Labels[composeOneOff], "true") {
				pod.Name = cleanName(service+"-"+number, pod.Name)
			}
		}
	}
	pod.Containers = []model.Container{img.container(name, c.Image)}
	return pod
}

// The kinds of workloads: services of a Swarm and of Compose.
const (
	swarmKind   = "Service"
	composeKind = "ComposeService"
)

// workload is a service; none where its name is empty.
func workload(kind, name string) model.Workload {
	if name = cleanName(name, ""); name == "" {
		return model.Workload{}
	}
	return model.Workload{Kind: kind, Name: name}
}

// containerName is the name that the engine gave, without the names by which other containers link to it.
func containerName(c container.Summary) string {
	for _, name := range c.Names {
		if name = strings.TrimPrefix(name, "/"); name != "" && !strings.Contains(name, "/") {
			return cleanName(name, cleanUID(c.ID))
		}
	}
	return cleanName(perceiver.Clip(c.ID, shortID), "unnamed")
}

// cleanNamespace makes a label a namespace. An empty one is the default namespace.
func cleanNamespace(label string) string {
	name := cleanName(label, defaultNamespace)
	if strings.HasPrefix(name, model.ReservedNamespaces) {
		name = "-" + strings.TrimLeft(name, model.ReservedNamespaces)
	}
	return name
}

// cleanName makes a text a name: what may not stand in one becomes a dash, and what is too long is cut. Otherwise is for a text without
// anything in it.
func cleanName(text, otherwise string) string {
	text = strings.Map(func(r rune) rune {
		if r == '/' || r == unicode.ReplacementChar || unicode.IsSpace(r) || unicode.IsControl(r) {
			return '-'
		}
		return r
	}, perceiver.Clip(text, model.PodNameLength))
	if strings.Trim(text, "-") == "" {
		return otherwise
	}
	return text
}

// cleanUID is an ID of the engine, which has 64 or 25 letters and digits.
func cleanUID(id string) string { return cleanName(id, "") }

// runs reports whether the engine means that the container is there to run. A list of running containers has no others; an engine that
// sends others is not believed.
func runs(c container.Summary) bool {
	return slices.Contains([]container.ContainerState{container.StateRunning, container.StatePaused, container.StateRestarting, ""}, c.State)
}
