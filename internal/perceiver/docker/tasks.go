package docker

import (
	"strconv"

	"github.com/moby/moby/api/types/swarm"

	"github.com/perceptor/perceptor/internal/perceiver"
	"github.com/perceptor/perceptor/model"
)

// service is what is kept of a service.
type service struct {
	namespace, name string
	labels          map[string]string
}

func serviceOf(s swarm.Service) service {
	return service{namespace: cleanNamespace(s.Spec.Labels[stackNamespace]), name: cleanName(s.Spec.Name, cleanUID(s.ID)), labels: s.Spec.Labels}
}

// busy are the states of tasks that have a node and have not ended there.
var busy = map[swarm.TaskState]bool{
	swarm.TaskStateAssigned: true, swarm.TaskStateAccepted: true, swarm.TaskStatePreparing: true, swarm.TaskStateReady: true,
	swarm.TaskStateStarting: true, swarm.TaskStateRunning: true,
}

// isBusy reports whether a task runs an image on a node, or is about to.
func isBusy(t swarm.Task) bool {
	return t.ID != "" && t.NodeID != "" && busy[t.Status.State] && t.Spec.ContainerSpec != nil
}

// taskPod is a task as it is reported. Its image is that of its container, where that is known here, else that which the service
// names; the platform is that of the node.
func taskPod(t swarm.Task, s service, node model.Platform, local *imageInfo) model.Pod {
	pod := model.Pod{UID: cleanUID(t.ID), Namespace: s.namespace, Name: cleanName(s.name+"."+place(t), cleanUID(t.ID)), Platform: node}
	pod.Workload = workload(swarmKind, s.name)
	if node.Architecture == "" {
		pod.PlatformProblem = "the Swarm does not say the platform of the task's node"
	}
	reference := t.Spec.ContainerSpec.Image
	if local != nil {
		pod.Platform, pod.PlatformProblem = local.platform, ""
		pod.Containers = []model.Container{local.container(s.name, reference)}
		return pod
	}
	info := imageInfo{problem: problemService}
	if repository, _, digest := perceiver.SplitReference(reference); digest != "" && validRepository(repository) {
		info = imageInfo{digests: []repoDigest{{perceiver.WithHost(repository), digest}}}
	}
	pod.Containers = []model.Container{info.container(s.name, reference)}
	return pod
}

// place tells the tasks of a service apart: a replica by its slot, that of a global service by its node.
func place(t swarm.Task) string {
	if t.Slot > 0 {
		return strconv.Itoa(t.Slot)
	}
	return t.NodeID
}
