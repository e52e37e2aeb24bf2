//go:build e2e

package kubetest_test

import (
	"maps"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/kubetest"
	"github.com/perceptor/perceptor/internal/rig"
)

const (
	manifests = "../../deploy/kubernetes"
	// roleKnown is how long the API server may take to know a new role, roleAsked how often it is asked.
	roleKnown, roleAsked = 30 * time.Second, 50 * time.Millisecond
)

// deployed reads the manifests as kubectl does: file by file in the order of names.
func deployed(t *testing.T) []kubetest.Object {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(manifests, "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var all []kubetest.Object
	for _, file := range files {
		objects, err := kubetest.ReadManifests(file)
		require.NoError(t, err)
		all = append(all, objects...)
	}
	return all
}

// at takes something out of an object.
func at[T any](t *testing.T, object kubetest.Object, path ...string) T {
	t.Helper()
	var value any = object
	for _, step := range path {
		inner, is := value.(kubetest.Object)
		require.True(t, is, "%v", path)
		value = inner[step]
	}
	typed, is := value.(T)
	require.True(t, is, "%v is a %T", path, value)
	return typed
}

// templates are the pods that the manifests make, by the names of what makes them.
func templates(t *testing.T, objects []kubetest.Object) map[string]kubetest.Object {
	t.Helper()
	all := map[string]kubetest.Object{}
	for _, object := range objects {
		if kind := object["kind"]; kind != "Deployment" && kind != "StatefulSet" {
			continue
		}
		all[at[string](t, object, "metadata", "name")] = at[kubetest.Object](t, object, "spec", "template")
		// The controller of StatefulSets adds these to its pods.
		pod := at[kubetest.Object](t, object, "spec", "template", "spec")
		claims, _ := at[kubetest.Object](t, object, "spec")["volumeClaimTemplates"].([]any)
		for _, claim := range claims {
			name := at[string](t, claim.(kubetest.Object), "metadata", "name")
			pod["volumes"] = append(at[[]any](t, pod, "volumes"), kubetest.Object{"name": name, "emptyDir": kubetest.Object{}})
		}
	}
	require.NotEmpty(t, all)
	return all
}

// TestManifests lets a real API server check every manifest, without effect and without a warning, and every pod they make, which
// must be admitted to a namespace of the strictest standard.
func TestManifests(t *testing.T) {
	rig.Needs(t, "etcd", "etcd-server")
	c, ctx := kubetest.Start(t), t.Context()
	objects := deployed(t)
	require.Equal(t, "Namespace", objects[0]["kind"], "the namespace comes first")
	require.NoError(t, c.Apply(ctx, objects[0]))
	for _, object := range objects {
		warnings, err := c.TryApply(ctx, object)
		require.NoError(t, err)
		require.Empty(t, warnings, "%s %v", object["kind"], object["metadata"])
	}
	for name, template := range templates(t, objects) {
		pod := maps.Clone(template)
		pod["apiVersion"], pod["kind"] = "v1", "Pod"
		metadata := maps.Clone(at[kubetest.Object](t, pod, "metadata"))
		metadata["name"], metadata["namespace"] = name, "perceptor"
		pod["metadata"] = metadata
		_, err := c.TryApply(ctx, pod)
		require.NoError(t, err)
	}
	misspelled := maps.Clone(objects[len(objects)-1])
	misspelled["specc"] = kubetest.Object{}
	_, err := c.TryApply(ctx, misspelled)
	require.ErrorContains(t, err, "specc", "the check can fail")
}

// TestManifestsArguments gives the built program the arguments of every container.
func TestManifestsArguments(t *testing.T) {
	for name, template := range templates(t, deployed(t)) {
		for _, container := range at[[]any](t, template, "spec", "containers") {
			var words []string
			for _, word := range at[[]any](t, container.(kubetest.Object), "args") {
				words = append(words, word.(string))
			}
			said, err := exec.Command(rig.Built(t, "perceptor"), append(words, "--help")...).CombinedOutput()
			require.NoError(t, err, "%s: %v: %s", name, words, said)
		}
	}
}

// TestRoles asks the API server what each service account may do: what it needs and nothing that could harm.
func TestRoles(t *testing.T) {
	rig.Needs(t, "etcd", "etcd-server")
	c, ctx := kubetest.Start(t), t.Context()
	for _, object := range deployed(t) {
		require.NoError(t, c.Apply(ctx, object))
	}
	for _, row := range []struct {
		account, verb, group, resource, name, namespace string
		allowed                                         bool
	}{
		{"perceiver", "list", "", "pods", "", "shop", true},
		{"perceiver", "watch", "", "pods", "", "", true},
		{"perceiver", "patch", "", "pods", "web", "shop", true},
		{"perceiver", "watch", "", "nodes", "", "", true},
		{"perceiver", "watch", "", "namespaces", "", "", true},
		{"perceiver", "create", "", "events", "", "shop", true},
		{"perceiver", "update", "coordination.k8s.io", "leases", "perceptor-perceiver", "perceptor", true},
		{"perceiver", "create", "coordination.k8s.io", "leases", "", "perceptor", true},
		{"perceiver", "update", "coordination.k8s.io", "leases", "other", "kube-system", false},
		{"perceiver", "update", "coordination.k8s.io", "leases", "other", "perceptor", false},
		{"perceiver", "get", "", "secrets", "", "shop", false},
		{"perceiver", "get", "", "secrets", "", "perceptor", false},
		{"perceiver", "delete", "", "pods", "web", "shop", false},
		{"perceiver", "create", "", "pods", "", "shop", false},
		{"perceiver", "patch", "", "nodes", "", "", false},
		{"worker", "list", "", "pods", "", "shop", false},
		{"worker", "get", "", "secrets", "", "perceptor", false},
		{"scanner", "get", "", "secrets", "", "shop", false},
		{"api", "list", "", "pods", "", "shop", false},
	} {
		review := kubetest.Object{"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": kubetest.Object{
			"user": "system:serviceaccount:perceptor:" + row.account,
			"resourceAttributes": kubetest.Object{
				"verb": row.verb, "group": row.group, "resource": row.resource, "name": row.name, "namespace": row.namespace,
			},
		}}
		require.Eventually(t, func() bool {
			var answer struct {
				Status struct{ Allowed bool }
			}
			err := c.Call(ctx, http.MethodPost, "/apis/authorization.k8s.io/v1/subjectaccessreviews", kubetest.JSON, review, &answer)
			require.NoError(t, err)
			return answer.Status.Allowed == row.allowed
		}, roleKnown, roleAsked, "%+v", row)
	}
}
