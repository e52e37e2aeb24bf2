package kubernetes

import (
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// TestALeaderThatWasFrozenDoesNotGiveBackTheLeaseOfAnother: its elector believes that it leads until it has read the Lease, and gives
// back what it has read.
func TestALeaderThatWasFrozenDoesNotGiveBackTheLeaseOfAnother(t *testing.T) {
	cluster := fake.NewClientset()
	candidate := func(name string) *notedLock {
		return &notedLock{LeaseLock: &resourcelock.LeaseLock{
			LeaseMeta: metav1.ObjectMeta{Namespace: "n", Name: LeaseName}, Client: cluster.CoordinationV1(), LockConfig: resourcelock.ResourceLockConfig{Identity: name},
		}}
	}
	record := func(holder string) resourcelock.LeaderElectionRecord {
		return resourcelock.LeaderElectionRecord{HolderIdentity: holder, LeaseDurationSeconds: 15}
	}
	frozen, other := candidate("frozen"), candidate("other")
	holder := func() string {
		now, _, err := candidate("reader").Get(t.Context())
		require.NoError(t, err)
		return now.HolderIdentity
	}
	require.NoError(t, frozen.Create(t.Context(), record("frozen")))
	_, _, err := other.Get(t.Context())
	require.NoError(t, err)
	require.NoError(t, other.Update(t.Context(), record("other")))

	_, _, err = frozen.Get(t.Context())
	require.NoError(t, err)
	require.ErrorIs(t, frozen.Update(t.Context(), record("")), errOtherHolds)
	require.Equal(t, "other", holder())
	require.False(t, frozen.mayWrite())

	// The one that holds it gives it back.
	_, _, err = other.Get(t.Context())
	require.NoError(t, err)
	require.NoError(t, other.Update(t.Context(), record("")))
	require.Empty(t, holder())
}
