package workers

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/activities"
)

// TestOnlyAFewWorkflowsAskAHubByThemselves: the rest of its rate is for the steps on its queue.
func TestOnlyAFewWorkflowsAskAHubByThemselves(t *testing.T) {
	here := newHubsHere(activities.HubMap{"a": nil, "b": nil})
	var last func()
	for range askingHere {
		_, done, ok := here.HubHere("a")
		require.True(t, ok)
		last = done
	}
	_, _, ok := here.HubHere("a")
	require.False(t, ok)
	_, _, ok = here.HubHere("b")
	require.True(t, ok, "each hub counts for itself")
	_, _, ok = here.HubHere("c")
	require.False(t, ok, "there is no such hub")
	last()
	_, _, ok = here.HubHere("a")
	require.True(t, ok)
}
