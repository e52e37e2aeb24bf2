package kubetest

import (
	"context"
	"fmt"
	"net/http"
)

// Kind tells the containers of a pod apart.
type Kind string

// The kinds of containers; a sidecar is an init container that keeps running.
const (
	Main      Kind = ""
	Init      Kind = "init"
	Sidecar   Kind = "sidecar"
	Ephemeral Kind = "ephemeral"
)

// Pod is a pod as a test wants it, scheduled to a node.
type Pod struct {
	Namespace, Name, Node string
	Labels, Annotations   map[string]string
	ServiceAccount        string
	PullSecrets           []string
	// Phase is Running where it is empty.
	Phase      string
	Containers []Container
}

// Container is one container of a pod and what the runtime reports of it.
type Container struct {
	Name string
	Kind Kind
	// Image is what the pod names.
	Image string
	// ImageID is what the runtime reports; empty while the container waits to be created.
	ImageID string
	// Reported is the image's name as the runtime reports it, where that is not Image.
	Reported string
}

func (p Pod) path() string { return fmt.Sprintf("/api/v1/namespaces/%s/pods/%s", p.Namespace, p.Name) }

// AddPod makes a pod with its status and gives its UID.
func (c *Cluster) AddPod(ctx context.Context, p Pod) (string, error) {
	spec := Object{"nodeName": p.Node, "serviceAccountName": p.ServiceAccount, "imagePullSecrets": named(p.PullSecrets), "terminationGracePeriodSeconds": 0}
	containers, inits := []any{}, []any{}
	for _, each := range p.Containers {
		object := Object{"name": each.Name, "image": each.Image}
		switch each.Kind {
		case Sidecar:
			object["restartPolicy"] = "Always"
			inits = append(inits, object)
		case Init:
			inits = append(inits, object)
		case Main:
			containers = append(containers, object)
		}
	}
	spec["containers"], spec["initContainers"] = containers, inits
	object := Object{
		"apiVersion": "v1", "kind": "Pod", "spec": trimmed(spec),
		"metadata": Object{"name": p.Name, "labels": p.Labels, "annotations": p.Annotations},
	}
	var made struct {
		Metadata struct {
			UID string `json:"uid"`
		} `json:"metadata"`
	}
	if err := c.Call(ctx, http.MethodPost, "/api/v1/namespaces/"+p.Namespace+"/pods", JSON, object, &made); err != nil {
		return "", err
	}
	if err := c.addEphemeral(ctx, p); err != nil {
		return "", err
	}
	return made.Metadata.UID, c.SetStatus(ctx, p)
}

// addEphemeral adds the containers that can only be added to a pod that exists.
func (c *Cluster) addEphemeral(ctx context.Context, p Pod) error {
	added := []any{}
	for _, each := range p.Containers {
		if each.Kind == Ephemeral {
			added = append(added, Object{"name": each.Name, "image": each.Image})
		}
	}
	if len(added) == 0 {
		return nil
	}
	return c.Call(ctx, http.MethodPatch, p.path()+"/ephemeralcontainers", Merge, Object{"spec": Object{"ephemeralContainers": added}}, nil)
}

// SetStatus reports the pod's phase and containers as a kubelet does.
func (c *Cluster) SetStatus(ctx context.Context, p Pod) error {
	phase := p.Phase
	if phase == "" {
		phase = "Running"
	}
	reports := map[string][]any{"containerStatuses": {}, "initContainerStatuses": {}, "ephemeralContainerStatuses": {}}
	for _, each := range p.Containers {
		list := map[Kind]string{Main: "containerStatuses", Init: "initContainerStatuses", Sidecar: "initContainerStatuses", Ephemeral: "ephemeralContainerStatuses"}[each.Kind]
		reports[list] = append(reports[list], each.status(phase))
	}
	status := Object{"phase": phase, "podIP": "10.1.2.3", "hostIP": "10.1.0.1"}
	for list, all := range reports {
		status[list] = all
	}
	return c.Call(ctx, http.MethodPatch, p.path()+"/status", Merge, Object{"status": status}, nil)
}

func (c Container) status(phase string) Object {
	reported := c.Reported
	if reported == "" {
		reported = c.Image
	}
	state := Object{"running": Object{"startedAt": "2026-01-02T03:04:05Z"}}
	done := Object{"terminated": Object{"exitCode": 0, "reason": "Completed", "startedAt": "2026-01-02T03:04:05Z", "finishedAt": "2026-01-02T03:04:06Z"}}
	switch {
	case c.ImageID == "":
		state = Object{"waiting": Object{"reason": "ContainerCreating"}}
	case c.Kind == Init, phase == "Succeeded", phase == "Failed":
		state = done
	}
	_, running := state["running"]
	return Object{"name": c.Name, "image": reported, "imageID": c.ImageID, "ready": running, "started": running, "restartCount": 0, "state": state}
}

// DeletePod deletes a pod at once, as if its kubelet had agreed.
func (c *Cluster) DeletePod(ctx context.Context, namespace, name string) error {
	return c.Call(ctx, http.MethodDelete, Pod{Namespace: namespace, Name: name}.path()+"?gracePeriodSeconds=0", JSON, nil, nil)
}
