package kubernetes

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/perceptor/perceptor/internal/perceiver"
	"github.com/perceptor/perceptor/model"
)

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
