//go:build e2e

package main_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestKubernetesEndToEnd joins 300 pods of 20 namespaces while the perceiver, the API and the worker are killed with -9, and while pods
// and namespaces are deleted. Then Temporal loses everything, and the join comes back without an upload.
func TestKubernetesEndToEnd(t *testing.T) {
	s := size{
		pods: 300, namespaces: 20, images: 36, doomed: 48, doomedNamespaces: 4, rounds: 2,
		pause: 200 * time.Millisecond, down: 4 * time.Second, within: 15 * time.Minute,
	}
	w := startWorld(t, s.images)
	r := w.tell(s)
	r.agreed(t, s.pods)

	before := w.stats(t)
	w.emptyTemporal()
	for _, part := range slices.Backward(parts) {
		w.start(part)
	}
	w.settle(t.Context(), s.within).agreed(t, s.pods)
	require.Equal(t, before.UploadsStarted, w.stats(t).UploadsStarted, "the join comes back without an upload")

	w.compare(t.Context(), w.addUnscannable(t.Context()))
	announceResult(t, r.line())
}
