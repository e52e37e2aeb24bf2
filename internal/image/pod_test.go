package image_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/image"
)

func container(name string, status image.ScanStatus, overall image.OverallStatus, high int) image.ContainerVerdict {
	return image.ContainerVerdict{Name: name, Image: image.Summary{
		Status: status, OverallStatus: overall, PolicyViolations: high, Vulnerabilities: image.Counts{High: high},
	}}
}

func TestJoin(t *testing.T) {
	clean := container("clean", image.StatusComplete, image.NotInViolation, 0)
	bad := container("bad", image.StatusComplete, image.InViolation, 2)
	overridden := container("overridden", image.StatusComplete, image.InViolationOverridden, 1)
	queued := container("queued", image.StatusInQueue, image.OverallUnknown, 0)
	failed := container("failed", image.StatusFailed, image.OverallUnknown, 0)
	for _, row := range []struct {
		what       string
		containers []image.ContainerVerdict
		status     image.ScanStatus
		overall    image.OverallStatus
		high       int
	}{
		{"no container", nil, image.StatusUnknown, image.OverallUnknown, 0},
		{"clean", []image.ContainerVerdict{clean}, image.StatusComplete, image.NotInViolation, 0},
		{"a violation is not hidden by what comes after it", []image.ContainerVerdict{bad, overridden, clean}, image.StatusComplete, image.InViolation, 3},
		{"the same image twice counts twice", []image.ContainerVerdict{bad, bad}, image.StatusComplete, image.InViolation, 4},
		{"one unscanned is never clean", []image.ContainerVerdict{clean, queued}, image.StatusInQueue, image.OverallUnknown, 0},
		{"a violation beside something unscanned", []image.ContainerVerdict{queued, bad}, image.StatusInQueue, image.InViolation, 2},
		{"a failure beside something that waits", []image.ContainerVerdict{queued, failed, clean}, image.StatusFailed, image.OverallUnknown, 0},
	} {
		t.Run(row.what, func(t *testing.T) {
			got := image.Join("c", image.Pod{Namespace: "n", Name: "p", UID: "u"}, row.containers)
			require.Equal(t, row.status, got.Status)
			require.Equal(t, row.overall, got.OverallStatus)
			require.Equal(t, row.high, got.Vulnerabilities.High)
			require.Equal(t, row.high, got.PolicyViolations)
		})
	}
}

func TestVersionOrder(t *testing.T) {
	require.True(t, image.Version{Epoch: 1, Counter: 9}.Before(image.Version{Epoch: 2}))
	require.True(t, image.Version{Epoch: 2}.Before(image.Version{Epoch: 2, Counter: 1}))
	require.False(t, image.Version{Epoch: 2}.Before(image.Version{Epoch: 2}))
}

func TestWhatHasNoUIDGetsOne(t *testing.T) {
	digest := image.Digest("sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
	require.Equal(t, image.PodKey{UID: "n/p", Namespace: "n", Name: "p"}, image.Pod{Namespace: "n", Name: "p"}.Key())
	require.Equal(t, image.PodKey{UID: "u", Namespace: "n", Name: "p"}, image.Pod{UID: "u", Namespace: "n", Name: "p"}.Key())
	bare := image.Pod{Bare: true, Containers: []image.Container{{Reference: "registry.example/app:1", Digest: digest}}}
	require.Equal(t, image.PodKey{UID: "registry.example/app:1@" + string(digest), Namespace: image.BareImages}, bare.Key())
}
