//go:build e2e

package kubetest_test

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/kubetest"
	"github.com/perceptor/perceptor/internal/rig"
)

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestPodsHaveStatus(t *testing.T) {
	rig.Needs(t, "etcd", "etcd-server")
	c, ctx := kubetest.Start(t), t.Context()
	require.NoError(t, c.AddNode(ctx, kubetest.Node{Name: "arm", Architecture: "arm64", Runtime: "containerd://2.1.4"}))
	require.NoError(t, c.AddNamespace(ctx, "shop", map[string]string{"team": "a"}))
	pod := kubetest.Pod{Namespace: "shop", Name: "web", Node: "arm", Labels: map[string]string{"app": "web"}, Containers: []kubetest.Container{
		{Name: "main", Image: "127.0.0.1:5005/web:1", ImageID: "127.0.0.1:5005/web@" + digest},
		{Name: "late", Image: "127.0.0.1:5005/late:1"},
		{Name: "first", Kind: kubetest.Init, Image: "127.0.0.1:5005/first:1", ImageID: "docker-pullable://127.0.0.1:5005/first@" + digest},
		{Name: "beside", Kind: kubetest.Sidecar, Image: "127.0.0.1:5005/beside:1", ImageID: digest},
		{Name: "debug", Kind: kubetest.Ephemeral, Image: "127.0.0.1:5005/debug:1", ImageID: "127.0.0.1:5005/debug@" + digest},
	}}
	uid, err := c.AddPod(ctx, pod)
	require.NoError(t, err)
	require.NotEmpty(t, uid)

	type statuses []struct{ Name, ImageID string }
	var got struct {
		Metadata struct{ UID string }
		Status   struct {
			Phase                                                                string
			ContainerStatuses, InitContainerStatuses, EphemeralContainerStatuses statuses
		}
	}
	require.NoError(t, c.Get(ctx, "/api/v1/namespaces/shop/pods/web", &got))
	require.Equal(t, uid, got.Metadata.UID)
	require.Equal(t, "Running", got.Status.Phase)
	require.Equal(t, statuses{{"main", "127.0.0.1:5005/web@" + digest}, {"late", ""}}, got.Status.ContainerStatuses)
	require.Equal(t, statuses{{"first", "docker-pullable://127.0.0.1:5005/first@" + digest}, {"beside", digest}}, got.Status.InitContainerStatuses)
	require.Equal(t, statuses{{"debug", "127.0.0.1:5005/debug@" + digest}}, got.Status.EphemeralContainerStatuses)

	require.NoError(t, c.DeletePod(ctx, "shop", "web"))
	require.True(t, kubetest.Gone(c.Get(ctx, "/api/v1/namespaces/shop/pods/web", nil)))
	_, err = c.AddPod(ctx, pod)
	require.NoError(t, err)
	require.NoError(t, c.DeleteNamespace(ctx, "shop"))
	require.True(t, kubetest.Gone(c.Get(ctx, "/api/v1/namespaces/shop", nil)), "the namespace is gone with its pods")
}

// TestServiceAccountsMayWhatTheirRolesSay shows that RBAC is on: a test of a role shows something.
func TestServiceAccountsMayWhatTheirRolesSay(t *testing.T) {
	rig.Needs(t, "etcd", "etcd-server")
	c, ctx := kubetest.Start(t), t.Context()
	require.NoError(t, c.AddNamespace(ctx, "shop", nil))
	require.NoError(t, c.AddServiceAccount(ctx, "shop", "reader"))
	file, err := c.KubeconfigOf(ctx, "shop", "reader")
	require.NoError(t, err)
	reader, err := c.As(file)
	require.NoError(t, err)
	var refused *kubetest.StatusError
	require.ErrorAs(t, reader.Get(ctx, "/api/v1/namespaces/shop/pods", nil), &refused)
	require.Equal(t, http.StatusForbidden, refused.Code)

	rules, group := "rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io"
	require.NoError(t, c.Apply(ctx, kubetest.Object{
		"apiVersion": rules, "kind": "Role", "metadata": kubetest.Object{"name": "reader", "namespace": "shop"},
		"rules": []any{kubetest.Object{"apiGroups": []any{""}, "resources": []any{"pods"}, "verbs": []any{"list"}}},
	}))
	require.NoError(t, c.Apply(ctx, kubetest.Object{
		"apiVersion": rules, "kind": "RoleBinding", "metadata": kubetest.Object{"name": "reader", "namespace": "shop"},
		"roleRef":  kubetest.Object{"apiGroup": group, "kind": "Role", "name": "reader"},
		"subjects": []any{kubetest.Object{"kind": "ServiceAccount", "name": "reader", "namespace": "shop"}},
	}))
	require.Eventually(t, func() bool { return reader.Get(ctx, "/api/v1/namespaces/shop/pods", nil) == nil }, time.Minute, 100*time.Millisecond)
	require.ErrorAs(t, reader.Get(ctx, "/api/v1/pods", nil), &refused)
}

// TestNothingOutlivesTheTest kills a test program that has a cluster with -9: etcd and the API server die with it.
func TestNothingOutlivesTheTest(t *testing.T) {
	rig.Needs(t, "etcd", "etcd-server")
	if os.Getenv("KUBETEST_CHILD") != "" {
		c := kubetest.Start(t)
		_, _ = os.Stdout.WriteString("directory " + c.Directory + "\n")
		select {}
	}
	child := exec.Command(os.Args[0], "-test.run", "^TestNothingOutlivesTheTest$")
	child.Env = append(os.Environ(), "KUBETEST_CHILD=1", "TMPDIR="+t.TempDir())
	output, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	directory := ""
	lines := bufio.NewScanner(output)
	for directory == "" && lines.Scan() {
		_, directory, _ = strings.Cut(lines.Text(), "directory ")
	}
	require.NotEmpty(t, directory)
	require.Equal(t, 2, withArgument(t, directory))
	require.NoError(t, child.Process.Signal(syscall.SIGKILL))
	_ = child.Wait()
	require.Eventually(t, func() bool { return withArgument(t, directory) == 0 }, time.Minute, 100*time.Millisecond)
}

// withArgument counts the processes that have a text in their command line.
func withArgument(t *testing.T, text string) int {
	t.Helper()
	processes, err := os.ReadDir("/proc")
	require.NoError(t, err)
	count := 0
	for _, each := range processes {
		line, err := os.ReadFile("/proc/" + each.Name() + "/cmdline")
		if err == nil && strings.Contains(string(line), text) {
			count++
		}
	}
	return count
}
