package kubernetes

import (
	"cmp"
	"strings"
	"unique"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/perceptor/perceptor/internal/perceiver"
	"github.com/perceptor/perceptor/model"
)

// convert is what a pod runs, without its platform. Containers that f ignores are left out.
func convert(pod *corev1.Pod, f *Filter, pullSecrets bool) model.Pod {
	converted := model.Pod{UID: string(pod.UID), Namespace: shared(pod.Namespace), Name: pod.Name}
	if pullSecrets {
		converted.Credential = shared(credentialName(pod))
	}
	for _, c := range containersOf(pod) {
		if !f.Ignores(c.Reference) {
			converted.Containers = append(converted.Containers, c)
		}
	}
	return converted
}

// containersOf has the main containers first, so that their numbers in labels do not depend on what stands beside them.
func containersOf(pod *corev1.Pod) []model.Container {
	status := map[string]*corev1.ContainerStatus{}
	for _, statuses := range [][]corev1.ContainerStatus{
		pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses, pod.Status.EphemeralContainerStatuses,
	} {
		for i := range statuses {
			status[statuses[i].Name] = &statuses[i]
		}
	}
	var containers []model.Container
	add := func(name, reference string, kind model.ContainerKind) {
		containers = append(containers, containerOf(name, reference, kind, status[name]))
	}
	for i := range pod.Spec.Containers {
		add(pod.Spec.Containers[i].Name, pod.Spec.Containers[i].Image, model.ContainerMain)
	}
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		kind := model.ContainerInit
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			kind = model.ContainerSidecar
		}
		add(c.Name, c.Image, kind)
	}
	for i := range pod.Spec.EphemeralContainers {
		add(pod.Spec.EphemeralContainers[i].Name, pod.Spec.EphemeralContainers[i].Image, model.ContainerEphemeral)
	}
	return containers
}

// containerOf joins what the pod asks for and what the runtime reports.
func containerOf(name, reference string, kind model.ContainerKind, status *corev1.ContainerStatus) model.Container {
	reference = strings.ToValidUTF8(reference, "\uFFFD")
	reported, digest := "", model.Digest("")
	if status != nil {
		reported, digest = parseImageID(status.ImageID)
		// A pod may name an image of the node by its configuration; then the runtime knows a better name for it.
		if perceiver.IsConfiguration(reference) && status.Image != "" {
			reference = strings.ToValidUTF8(status.Image, "\uFFFD")
		}
	}
	repository, tag, pinned := perceiver.SplitReference(reference)
	// A pinned reference always means the same, so an ID of the runtime's own says nothing more.
	if digest == "" || reported == "" && pinned != "" {
		digest = pinned
	}
	other := ""
	switch {
	case repository == "" || perceiver.IsConfiguration(reference):
		// Not a name of anything a registry has; the runtime's will do, or else the resolver says what is wrong with it.
		if reported != "" {
			reference = reported
		}
	case reported != "" && !perceiver.HasHost(repository):
		// A short name means another registry on another node: the runtime knows which one it was here.
		reference = perceiver.JoinReference(reported, tag)
	default:
		reference = perceiver.JoinReference(repository, tag)
		if reported != repository {
			other = reported
		}
	}
	return model.Container{
		Name: shared(name), Kind: kind, Reference: shared(reference), Digest: model.Digest(shared(string(digest))), Repository: shared(other),
	}
}

// shared makes equal strings one: a cluster has far fewer images, namespaces and names of containers than pods.
func shared(s string) string { return unique.Make(s).Value() }

// ended reports whether nothing of the pod will run again.
func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// begun reports whether the pod has a node. Before that nothing of it runs, and its platform is not known.
func begun(pod *corev1.Pod) bool {
	return pod.Spec.NodeName != "" || len(pod.Status.ContainerStatuses) > 0 || len(pod.Status.InitContainerStatuses) > 0
}

// wantedPlatform is what a pod itself says of the platform it is made for: the best there is while its node is unknown.
func wantedPlatform(pod *corev1.Pod) model.Platform {
	platform := model.Platform{OS: pod.Spec.NodeSelector[corev1.LabelOSStable], Architecture: pod.Spec.NodeSelector[corev1.LabelArchStable]}
	if pod.Spec.OS != nil {
		platform.OS = string(pod.Spec.OS.Name)
	}
	return sharedPlatform(platform)
}

func platformOf(node *corev1.Node) model.Platform {
	info := node.Status.NodeInfo
	platform := model.Platform{OS: info.OperatingSystem, Architecture: info.Architecture}
	if platform.OS == "windows" {
		platform.OSVersion = cmp.Or(info.KernelVersion, node.Labels[corev1.LabelWindowsBuild])
	}
	return sharedPlatform(platform)
}

func sharedPlatform(p model.Platform) model.Platform {
	return model.Platform{OS: shared(p.OS), Architecture: shared(p.Architecture), Variant: shared(p.Variant), OSVersion: shared(p.OSVersion)}
}

// secretsPrefix marks a credential's name as the names of pull secrets in a cluster.
const secretsPrefix = "kubernetes:"

// credentialName names the pull secrets of a pod, "kubernetes:NAMESPACE/SECRET,SECRET". Kubernetes itself has copied those
// of the service account into the pod, where the pod named none.
func credentialName(pod *corev1.Pod) string {
	var secrets []string
	for _, secret := range pod.Spec.ImagePullSecrets {
		if secret.Name != "" {
			secrets = append(secrets, secret.Name)
		}
	}
	if len(secrets) == 0 {
		return ""
	}
	return secretsPrefix + pod.Namespace + "/" + strings.Join(secrets, ",")
}

// hashLabels are the labels by which the owner of a ReplicaSet is known: its name is that of the owner, a dash and the value. So
// nothing but pods has to be read.
var hashLabels = map[string]string{
	"pod-template-hash":          "Deployment",
	"rollouts-pod-template-hash": "Rollout",
}

// deploymentConfig is the annotation of OpenShift that names the DeploymentConfig of a pod.
const deploymentConfig = "openshift.io/deployment-config.name"

// workloadOf is what owns a pod: of a chain of owners the one that a person has made, as far as the pod itself shows it. The pod of a
// CronJob is one of its Job, since only the Job names the CronJob.
func workloadOf(pod *corev1.Pod) model.Workload {
	owner := metav1.GetControllerOf(pod)
	if owner == nil || owner.Kind == "Node" { // a static pod, which its node's kubelet shows
		return model.Workload{}
	}
	kind, name := owner.Kind, owner.Name
	switch owner.Kind {
	case "ReplicaSet":
		for label, of := range hashLabels {
			if base, found := strings.CutSuffix(name, "-"+pod.Labels[label]); found && pod.Labels[label] != "" && base != "" {
				kind, name = of, base
				break
			}
		}
	case "ReplicationController":
		if made := pod.Annotations[deploymentConfig]; made != "" && strings.HasPrefix(name, made+"-") {
			kind, name = "DeploymentConfig", made
		}
	}
	workload := model.Workload{Kind: shared(clip(kind, model.WorkloadKindLength)), Name: shared(clip(name, model.PodNameLength))}
	if (model.Pod{UID: "u", Namespace: "n", Name: "p", Workload: workload}).Check() != nil {
		return model.Workload{} // no API server sends such a name; the pod is reported all the same
	}
	return workload
}

// labelsOf are the labels of a pod that are reported.
func (w *watch) labelsOf(pod *corev1.Pod) map[string]string {
	labels := perceiver.ChosenLabels(w.labels, pod.Labels)
	for key, value := range labels {
		labels[key] = shared(value)
	}
	return labels
}
