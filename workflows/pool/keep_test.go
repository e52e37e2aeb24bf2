package pool_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/workflows"
)

// What an operator has changed is in the memo of a pool, and a pool that is started after it gets it back.
func TestChangesOfAnOperatorOutliveThePool(t *testing.T) {
	t.Parallel()
	hubs := []workflows.HubConfig{{Name: "hub-a", Limit: 2}, {Name: "hub-b", Limit: 2}}
	first := newPoolEnv(t)
	first.at(time.Second, func() {
		first.update(workflows.UpdatePause, "hub-a")
		first.update(workflows.UpdateLimit, workflows.HubLimit{Hub: "hub-b", Limit: 7})
	})
	kept := first.run(workflows.HubPoolInput{Fresh: true, Hubs: hubs}, time.Minute).State.Value.Kept
	require.Equal(t, []workflows.KeptHub{{Hub: "hub-a", Paused: true}, {Hub: "hub-b", Limit: 7, Configured: 2}}, kept)

	second := newPoolEnv(t)
	next := second.run(workflows.HubPoolInput{Hubs: hubs[:1], Kept: kept}, time.Minute).State.Value
	require.True(t, next.Book.Hub("hub-a").Paused)
	require.Equal(t, kept, next.Kept, "what is kept of a hub that is not configured now stays")

	third := newPoolEnv(t)
	third.at(time.Second, func() { third.SignalWorkflow(workflows.SignalConfigure.Name, workflows.Configure{Hubs: hubs}) })
	next = third.run(workflows.HubPoolInput{Kept: kept}, time.Minute).State.Value
	require.True(t, next.Book.Hub("hub-a").Paused)
	require.Equal(t, 7, next.Book.Hub("hub-b").Limit)

	other := newPoolEnv(t)
	next = other.run(workflows.HubPoolInput{Hubs: []workflows.HubConfig{{Name: "hub-b", Limit: 3}}, Kept: kept}, time.Minute).State.Value
	require.Equal(t, 3, next.Book.Hub("hub-b").Limit, "a configuration with another limit has the newer word")
}
