package model

// Pod is one workload as a perceiver saw it: its names and its containers.
type Pod struct {
	// UID tells a pod from an earlier one of the same name. Leave it empty on a platform without such IDs: Key then makes one.
	UID string `json:"uid"`
	// Namespace is where the pod runs; CheckNamespace says what is allowed.
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Workload is what owns the pod. Labels are those of its labels that an operator has chosen, such as the team; at most LabelsAtMost.
	// Rows have both, so that they can be read by workload and team.
	Workload Workload          `json:"workload,omitzero"`
	Labels   map[string]string `json:"labels,omitempty"`
	// Platform is that of the node. It chooses the manifest where a container names an index. The zero value means unknown.
	Platform Platform `json:"platform,omitzero"`
	// PlatformProblem is why the platform is not known in full, in at most ProblemLength bytes; empty where it is, or where no
	// reason is known. It is shown where an index has images for several platforms.
	PlatformProblem string `json:"platformProblem,omitempty"`
	// Credential is the name of the credential its images are pulled with, never the credential.
	Credential string      `json:"credential,omitempty"`
	Containers []Container `json:"containers"`
	// Bare is set for an image that was reported without a pod. Such a Pod has one container and no name.
	Bare bool `json:"bare,omitempty"`
	// Marked says that the perceiver has written a verdict onto the pod before: it must not stay when it no longer holds.
	Marked bool `json:"marked,omitempty"`
}

// BareImages is the namespace of a cluster's images that were reported without a pod. No platform has a namespace of this name.
const BareImages = "_images"

// Key names the pod. A pod without a UID gets one: namespace and name, or reference and digest of a bare image.
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

// PodKey names a pod. A report that says that a pod has ended may leave the UID out: then every pod of that name has ended.
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
	// Reference is the image as the pod names it: repository, with tag or digest. It is required.
	Reference string `json:"reference"`
	// Digest is what the runtime reports: that of a manifest, of an index, or of an image's configuration. It is empty until
	// the container has started.
	Digest Digest `json:"digest,omitempty"`
	// Repository is where the runtime says that the image is from, if that is another repository than Reference's. The image is
	// looked for there too.
	Repository string `json:"repository,omitempty"`
	// Problem is why no registry can be asked for the image, in at most ProblemLength bytes. It is empty where one can. An image
	// with a problem is UNKNOWN for this reason: its name could lead to another image.
	Problem string `json:"problem,omitempty"`
	// Engine is the ID of the Docker Engine that alone has the image; empty for an image of a registry. Digest is then the ID that the
	// engine gives to the image, and no registry is asked: a scanner on the engine's host takes the image from it.
	Engine string `json:"engine,omitempty"`
	// HubNames overrides what the image is called at the hub.
	HubNames *HubNames `json:"hubNames,omitempty"`
}

// SnapshotScope says what a snapshot holds all of.
type SnapshotScope string

// The scopes: pods and bare images, pods alone, or bare images alone.
const (
	ScopeAll    SnapshotScope = ""
	ScopePods   SnapshotScope = "pods"
	ScopeImages SnapshotScope = "images"
)

// PodReport is what a perceiver says of one cluster: some changes, or everything there is.
type PodReport struct {
	// Cluster is the name that the perceiver gives to what it watches; CheckCluster says what is allowed.
	Cluster string `json:"cluster"`
	// Version orders the reports of one perceiver: an older one never undoes a newer one. The zero value stands for the time
	// at which the report is sent.
	Version Version `json:"version,omitzero"`
	// Snapshot says that Pods is everything that runs in the cluster. Pods that are not named have ended, and an older report
	// that arrives later is ignored.
	Snapshot bool `json:"snapshot,omitempty"`
	// Scope narrows a snapshot to pods or to bare images, for a platform that reports the two separately.
	Scope SnapshotScope `json:"scope,omitempty"`
	// Pods are new or changed pods. Their number is not limited: the report is sent in parts.
	Pods []Pod `json:"pods,omitempty"`
	// Gone are pods that have ended. A snapshot ignores them.
	Gone []PodKey `json:"gone,omitempty"`
	// Remark are pods whose marks someone else has changed: the verdicts are written again. A snapshot ignores them, because after
	// a snapshot every pod is compared.
	Remark []PodKey `json:"remark,omitempty"`
	// WriteBack says that the perceiver writes verdicts onto its pods: it serves the perceiver queue of the cluster.
	WriteBack bool `json:"writeBack,omitempty"`
	// Domain is the set of scanners that reach the cluster's registries; empty means the default one.
	Domain string `json:"domain,omitempty"`
}
