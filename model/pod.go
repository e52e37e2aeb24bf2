package model

// Pod is one workload as a perceiver saw it: what it is called and what it runs.
type Pod struct {
	// UID tells a pod from an earlier one of the same name; a platform without such ids gives namespace and name.
	UID       string `json:"uid"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Platform is that of the node; it chooses the manifest where a container names an index. Empty means unknown.
	Platform Platform `json:"platform,omitzero"`
	// Credential is the name of the credential its images are pulled with, never the credential.
	Credential string      `json:"credential,omitempty"`
	Containers []Container `json:"containers"`
	// Bare is set for an image that was reported by itself: it has one container and no name.
	Bare bool `json:"bare,omitempty"`
}

// BareImages is the namespace of a cluster's images that were reported by themselves. No platform has one of that name.
const BareImages = "_images"

// Key names the pod. What has no UID gets one: namespace and name, or what a bare image is called and its digest.
func (p Pod) Key() PodKey {
	key := PodKey{UID: p.UID, Namespace: p.Namespace, Name: p.Name}
	if p.Bare {
		key.Namespace = BareImages
	}
	switch {
	case key.UID != "":
	case p.Bare && len(p.Containers) > 0:
		key.UID = p.Containers[0].Reference + "@" + string(p.Containers[0].Digest)
	default:
		key.UID = p.Namespace + "/" + p.Name
	}
	return key
}

// PodKey names a pod that is gone. Without a UID it is every pod of that name.
type PodKey struct {
	UID       string `json:"uid,omitempty"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// ContainerKind tells the containers of a pod apart.
type ContainerKind string

// The kinds of containers. A sidecar is an init container that keeps running.
const (
	ContainerMain      ContainerKind = "container"
	ContainerInit      ContainerKind = "init"
	ContainerSidecar   ContainerKind = "sidecar"
	ContainerEphemeral ContainerKind = "ephemeral"
)

// Container is one container of a pod and the image it runs.
type Container struct {
	Name string        `json:"name"`
	Kind ContainerKind `json:"kind,omitempty"`
	// Reference is repository with tag, as the pod names it.
	Reference string `json:"reference"`
	// Digest is what the runtime reports of it: a manifest's or an index's; empty while the container has not started.
	Digest Digest `json:"digest,omitempty"`
	// HubNames overrides what the image is called at the hub.
	HubNames *HubNames `json:"hubNames,omitempty"`
}

// Coverage is what a snapshot is a snapshot of.
type SnapshotScope string

// The coverages.
const (
	ScopeAll    SnapshotScope = ""
	ScopePods   SnapshotScope = "pods"
	ScopeImages SnapshotScope = "images"
)

// PodReport is what a perceiver says of one cluster: some changes, or everything there is.
type PodReport struct {
	Cluster string `json:"cluster"`
	// Version orders the reports of one perceiver; an older one never undoes a newer one.
	// Without one, it is the time at which the report is sent.
	Version Version `json:"version,omitzero"`
	// Snapshot says that Pods is all there is in the whole cluster: what is not named is gone, and whatever an older report
	// says afterwards is ignored.
	Snapshot bool `json:"snapshot,omitempty"`
	// Covers narrows a snapshot to pods or to bare images, for a platform that tells of the two apart.
	Scope SnapshotScope `json:"scope,omitempty"`
	Pods  []Pod         `json:"pods,omitempty"`
	// Gone are pods that have ended; not used in a snapshot.
	Gone []PodKey `json:"gone,omitempty"`
	// WriteBack says that the perceiver serves the cluster's queue for writing verdicts onto pods.
	WriteBack bool `json:"writeBack,omitempty"`
	// Domain is the set of scanners that reach the cluster's registries; empty means the default one.
	Domain string `json:"domain,omitempty"`
}
