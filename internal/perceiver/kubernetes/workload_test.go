package kubernetes

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/perceptor/perceptor/model"
)

func TestWorkloadOfAPod(t *testing.T) {
	yes := true
	for what, row := range map[string]struct {
		kind, name          string
		labels, annotations map[string]string
		want                string
	}{
		"nothing owns it":                 {"", "", nil, nil, ""},
		"a Deployment":                    {"ReplicaSet", "web-5d4f", map[string]string{"pod-template-hash": "5d4f"}, nil, "Deployment/web"},
		"a Rollout":                       {"ReplicaSet", "web-5d4f", map[string]string{"rollouts-pod-template-hash": "5d4f"}, nil, "Rollout/web"},
		"a ReplicaSet alone":              {"ReplicaSet", "web-5d4f", nil, nil, "ReplicaSet/web-5d4f"},
		"a ReplicaSet with another hash":  {"ReplicaSet", "web-5d4f", map[string]string{"pod-template-hash": "77"}, nil, "ReplicaSet/web-5d4f"},
		"a ReplicaSet that is only a sum": {"ReplicaSet", "-5d4f", map[string]string{"pod-template-hash": "5d4f"}, nil, "ReplicaSet/-5d4f"},
		"a DeploymentConfig":              {"ReplicationController", "web-3", nil, map[string]string{deploymentConfig: "web"}, "DeploymentConfig/web"},
		"a DeploymentConfig of others":    {"ReplicationController", "web-3", nil, map[string]string{deploymentConfig: "shop"}, "ReplicationController/web-3"},
		"a StatefulSet":                   {"StatefulSet", "db", nil, nil, "StatefulSet/db"},
		"a Job":                           {"Job", "report-29000000", nil, nil, "Job/report-29000000"},
		"a static pod":                    {"Node", "node-1", nil, nil, ""},
		"a name that cannot be":           {"Odd", "a/b", nil, nil, ""},
		"a kind that is too long":         {strings.Repeat("K", 100), "a", nil, nil, strings.Repeat("K", model.WorkloadKindLength) + "/a"},
	} {
		t.Run(what, func(t *testing.T) {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: row.labels, Annotations: row.annotations}}
			if row.kind != "" {
				pod.OwnerReferences = []metav1.OwnerReference{{Kind: "Other", Name: "no-controller"}, {Kind: row.kind, Name: row.name, Controller: &yes}}
			}
			require.Equal(t, row.want, workloadOf(pod).String())
		})
	}
}

// TestChosenLabelsAreReported, and a change of them is; other labels are not, and their changes are no report.
func TestChosenLabelsAreReported(t *testing.T) {
	filter, err := NewFilter(Selection{})
	require.NoError(t, err)
	w := &watch{filter: filter, labels: []string{"team", "tier"}}
	pod := podOf("a", "one", "app")
	pod.Labels = map[string]string{"team": "shop", "secret": "x"}
	kept := func() *podEntry {
		t.Helper()
		object, err := w.keepPod(pod)
		require.NoError(t, err)
		entry, ok := object.(*podEntry)
		require.True(t, ok)
		return entry
	}
	before := kept()
	require.Equal(t, map[string]string{"team": "shop"}, before.pod.Labels)
	pod.Labels["secret"] = "y"
	require.Equal(t, before.sum, kept().sum)
	pod.Labels["team"] = "store"
	require.NotEqual(t, before.sum, kept().sum)
}
