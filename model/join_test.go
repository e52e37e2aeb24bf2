package model_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

func container(name string, status model.ScanStatus, overall model.OverallStatus, high int) model.ContainerVerdict {
	return model.ContainerVerdict{Name: name, Image: model.Summary{
		Status: status, OverallStatus: overall, PolicyViolations: high, Vulnerabilities: model.Counts{High: high},
	}}
}

func TestJoin(t *testing.T) {
	clean := container("clean", model.StatusComplete, model.NotInViolation, 0)
	bad := container("bad", model.StatusComplete, model.InViolation, 2)
	overridden := container("overridden", model.StatusComplete, model.InViolationOverridden, 1)
	queued := container("queued", model.StatusInQueue, model.OverallUnknown, 0)
	failed := container("failed", model.StatusFailed, model.OverallUnknown, 0)
	for _, row := range []struct {
		what       string
		containers []model.ContainerVerdict
		status     model.ScanStatus
		overall    model.OverallStatus
		high       int
	}{
		{"no container", nil, model.StatusUnknown, model.OverallUnknown, 0},
		{"clean", []model.ContainerVerdict{clean}, model.StatusComplete, model.NotInViolation, 0},
		{"a violation is not hidden by what comes after it", []model.ContainerVerdict{bad, overridden, clean}, model.StatusComplete, model.InViolation, 3},
		{"the same image twice counts twice", []model.ContainerVerdict{bad, bad}, model.StatusComplete, model.InViolation, 4},
		{"one unscanned is never clean", []model.ContainerVerdict{clean, queued}, model.StatusInQueue, model.OverallUnknown, 0},
		{"a violation beside something unscanned", []model.ContainerVerdict{queued, bad}, model.StatusInQueue, model.InViolation, 2},
		{"a failure beside something that waits", []model.ContainerVerdict{queued, failed, clean}, model.StatusFailed, model.OverallUnknown, 0},
	} {
		t.Run(row.what, func(t *testing.T) {
			got := model.Join("c", model.Pod{Namespace: "n", Name: "p", UID: "u"}, row.containers)
			require.Equal(t, row.status, got.Status)
			require.Equal(t, row.overall, got.OverallStatus)
			require.Equal(t, row.high, got.Vulnerabilities.High)
			require.Equal(t, row.high, got.PolicyViolations)
		})
	}
}

func TestVersionOrder(t *testing.T) {
	require.True(t, model.Version{Epoch: 1, Counter: 9}.Before(model.Version{Epoch: 2}))
	require.True(t, model.Version{Epoch: 2}.Before(model.Version{Epoch: 2, Counter: 1}))
	require.False(t, model.Version{Epoch: 2}.Before(model.Version{Epoch: 2}))
}

func TestWhatHasNoUIDGetsOne(t *testing.T) {
	digest := model.Digest("sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
	require.Equal(t, model.PodKey{UID: "n/p", Namespace: "n", Name: "p"}, model.Pod{Namespace: "n", Name: "p"}.Key())
	require.Equal(t, model.PodKey{UID: "u", Namespace: "n", Name: "p"}, model.Pod{UID: "u", Namespace: "n", Name: "p"}.Key())
	bare := model.Pod{Bare: true, Containers: []model.Container{{Reference: "registry.example/app:1", Digest: digest}}}
	require.Equal(t, model.PodKey{UID: "registry.example/app:1@" + string(digest), Namespace: model.BareImages}, bare.Key())
}
