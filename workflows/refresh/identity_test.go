package refresh_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// TestHubThatLostItsData: every image of the hub is looked at when the hub shows in any way that it has lost data. Those whose verdict is
// still there are left alone. The last rows are the twins in which nothing was lost.
func TestHubThatLostItsData(t *testing.T) {
	first := model.HubIdentity{Server: "one", Sequence: 7}
	for _, c := range []struct {
		name   string
		before func(*refreshWorld)
		after  func(*refreshWorld)
		looked bool
	}{
		{"another database", func(w *refreshWorld) { w.identity = first }, func(w *refreshWorld) { w.identity = model.HubIdentity{Server: "two", Sequence: 9} }, true},
		{"an older copy of the data", func(w *refreshWorld) { w.identity = first }, func(w *refreshWorld) { w.identity.Sequence = 6 }, true},
		{"a hub without an ID that has forgotten a version", func(*refreshWorld) {}, func(w *refreshWorld) { w.gone[version(2)] = true }, true},
		{"more scans", func(w *refreshWorld) { w.identity = first }, func(w *refreshWorld) { w.identity.Sequence = 8 }, false},
		{"a hub that says who it is since its update", func(*refreshWorld) {}, func(w *refreshWorld) { w.identity = first }, false},
		{"a version that was deleted", func(w *refreshWorld) { w.identity = first }, func(w *refreshWorld) {
			w.gone[version(2)] = true
			w.change(2, model.HubChangeRemoved, time.Second)
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newRefreshWorld(t)
			c.before(w)
			for n := range 3 {
				w.judge(n, 3*time.Hour)
			}
			state := w.settled()
			require.Len(t, w.read, 3)
			state.Known = version(2)
			w.gone[version(1)] = true
			c.after(w)
			state = w.pass(state)
			if !c.looked {
				require.NotContains(t, w.rescans, poolDigest(1))
				require.Zero(t, state.Losses)
				return
			}
			require.Contains(t, w.rescans, poolDigest(1), "its verdict is gone")
			require.Contains(t, w.notified, poolDigest(0), "its verdict is still there")
			require.NotContains(t, w.rescans, poolDigest(0))
			require.Equal(t, 1, state.Losses)
			w.now = w.now.Add(time.Minute)
			state = w.pass(state)
			require.Empty(t, w.rescans, "once is enough")
			require.Equal(t, workflows.RefreshState{Losses: 1}.Losses, state.Losses)
		})
	}
}
