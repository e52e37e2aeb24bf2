package temporal_test

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	sdk "go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
)

// A queue that only knows first come, first served would take the one of the
// second key last; a fair one takes turns between the keys.
func TestKeysShareAQueue(t *testing.T) {
	server, err := start(t, t.TempDir(), "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Stop()) }()
	connection := connect(t, server)
	defer connection.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	var handles []client.ActivityHandle
	for i, key := range slices.Concat(slices.Repeat([]string{"many"}, 20), []string{"one"}) {
		handle, err := connection.ExecuteActivity(ctx, client.StartActivityOptions{
			ID: strconv.Itoa(i), TaskQueue: "fair", ScheduleToCloseTimeout: time.Minute, Priority: sdk.Priority{FairnessKey: key, FairnessWeight: 1},
		}, "take", key)
		require.NoError(t, err)
		handles = append(handles, handle)
	}

	var lock sync.Mutex
	var taken []string
	taker := worker.New(connection, "fair", worker.Options{MaxConcurrentActivityExecutionSize: 1, DisableWorkflowWorker: true})
	taker.RegisterActivityWithOptions(func(_ context.Context, key string) error {
		lock.Lock()
		defer lock.Unlock()
		taken = append(taken, key)
		return nil
	}, activity.RegisterOptions{Name: "take"})
	require.NoError(t, taker.Start())
	defer taker.Stop()
	for _, handle := range handles {
		require.NoError(t, handle.Get(ctx, nil))
	}
	require.Less(t, slices.Index(taken, "one"), 10, "the order was %v", taken)
}
