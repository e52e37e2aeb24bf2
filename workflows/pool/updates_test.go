package pool_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

func TestUpdatesRefuseWhatCannotBeMeant(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, update string
		in           any
		says         string
	}{
		{"limit 0", workflows.UpdateLimit, workflows.HubLimit{Hub: "hub-a"}, "the limit 0 is too small: it must be at least 1; to keep scans away from hub-a, pause it"},
		{"limit below 0", workflows.UpdateLimit, workflows.HubLimit{Hub: "hub-a", Limit: -1}, "must be at least 1"},
		{"the same limit", workflows.UpdateLimit, workflows.HubLimit{Hub: "hub-a", Limit: 2}, "the limit of hub-a is 2 already"},
		{"limit of an unknown hub", workflows.UpdateLimit, workflows.HubLimit{Hub: "x", Limit: 2}, `no hub is named "x"; there are: hub-a`},
		{"pause of an unknown hub", workflows.UpdatePause, "x", `no hub is named "x"`},
		{"resume of a hub that is not paused", workflows.UpdateResume, "hub-a", "is not paused"},
		{"reset of nothing", workflows.UpdateReset, workflows.LeaseReset{}, "name one image by its digest"},
		{"reset of both", workflows.UpdateReset, workflows.LeaseReset{Digest: poolDigest(1), Stuck: true}, "not both"},
		{"reset without a stuck lease", workflows.UpdateReset, workflows.LeaseReset{Stuck: true}, "no lease is stuck"},
		{"reset of an image without a lease", workflows.UpdateReset, workflows.LeaseReset{Digest: poolDigest(7)}, "no lease of " + string(poolDigest(7)) + " is out"},
		{"reset of a lease in use", workflows.UpdateReset, workflows.LeaseReset{Digest: poolDigest(1)}, "is held by " + holderOf(1) + ", which is still open"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := newPoolEnv(t)
			var answer *updateAnswer
			e.at(time.Second, func() { e.acquire(1, workflows.PriorityPod) })
			e.at(2*time.Second, func() { answer = e.update(c.update, c.in) })
			e.run(fresh(2), 3*time.Second)
			require.ErrorContains(t, answer.err, c.says)
		})
	}
}

func TestALimitHasAnUpperBound(t *testing.T) {
	t.Parallel()
	e := newPoolEnv(t)
	in := fresh(2)
	in.Hubs[0].MaxLimit = 5
	var above, at *updateAnswer
	e.at(time.Second, func() { above = e.update(workflows.UpdateLimit, workflows.HubLimit{Hub: "hub-a", Limit: 6}) })
	e.at(2*time.Second, func() { at = e.update(workflows.UpdateLimit, workflows.HubLimit{Hub: "hub-a", Limit: 5}) })
	e.run(in, 3*time.Second)
	require.ErrorContains(t, above.err, "the configuration allows at most 5 for hub-a")
	require.NoError(t, at.err)
}

func TestAnOperatorChangesTheLimitAndResetsALease(t *testing.T) {
	t.Parallel()
	e := newPoolEnv(t)
	e.scans["hub-a "+poolDigest(1).Hex()] = model.HubScan{State: model.HubScanInProgress, StartedAt: poolStart.Add(time.Minute)}
	var lowered, reset *updateAnswer
	e.at(time.Second, func() {
		for n := 1; n <= 4; n++ {
			e.acquire(n, workflows.PriorityPod)
		}
	})
	e.at(2*time.Second, func() {
		e.confirm(1)
		e.confirm(2)
		lowered = e.update(workflows.UpdateLimit, workflows.HubLimit{Hub: "hub-a", Limit: 1})
	})
	e.at(3*time.Second, func() { e.release(2) })
	e.at(4*time.Second, func() {
		require.Empty(t, e.grants(3), "one is out, and one is the limit")
		e.kill(1)
	})
	e.at(70*time.Second, func() { reset = e.update(workflows.UpdateReset, workflows.LeaseReset{Digest: poolDigest(1)}) })
	e.run(fresh(2), 75*time.Second)
	require.NoError(t, lowered.err)
	status, ok := lowered.value.(workflows.HubStatus)
	require.True(t, ok)
	require.Equal(t, 1, status.Limit)
	require.Equal(t, 2, status.InUse)
	require.NoError(t, reset.err)
	require.Equal(t, workflows.LeaseResetAnswer{Freed: []model.Digest{poolDigest(1)}}, reset.value)
	require.NotEmpty(t, e.grants(3))
}

func TestAWrongListOfHubsIsRefusedAndShown(t *testing.T) {
	t.Parallel()
	e := newPoolEnv(t)
	e.at(time.Second, func() {
		e.SignalWorkflow(workflows.SignalConfigure.Name, workflows.Configure{Hubs: []workflows.HubConfig{{Name: "hub-b", Limit: 1}, {Name: "hub-b", Limit: 1}}})
	})
	e.at(2*time.Second, func() {
		s := e.status()
		require.Contains(t, s.Problem, `two hubs are named "hub-b"`)
		require.Equal(t, "hub-a", s.Hubs[0].Name)
		e.SignalWorkflow(workflows.SignalConfigure.Name, workflows.Configure{Hubs: []workflows.HubConfig{{Name: "hub-b", Limit: 1}}})
	})
	next := e.run(fresh(2), 3*time.Second)
	require.Empty(t, next.State.Value.Problem)
	require.Len(t, next.State.Value.Book.Hubs, 1)
	require.Equal(t, "hub-b", next.State.Value.Book.Hubs[0].Name)
}

func TestAPoolThatStartsWithAWrongListSaysSo(t *testing.T) {
	t.Parallel()
	e := newPoolEnv(t)
	next := e.run(fresh(0), time.Minute)
	require.Contains(t, next.State.Value.Problem, "must be at least 1")
	require.Empty(t, next.State.Value.Book.Hubs)
}

// TestAnotherListOfHubsIsAConflict shows the process with another list, keeps the list in use, and forgets the conflict when that
// process has the same list or says nothing any longer.
func TestAnotherListOfHubsIsAConflict(t *testing.T) {
	t.Parallel()
	e := newPoolEnv(t)
	send := func(from string, hubs ...string) {
		c := workflows.Configure{From: from}
		for _, name := range hubs {
			c.Hubs = append(c.Hubs, workflows.HubConfig{Name: name, Limit: 2})
		}
		e.SignalWorkflow(workflows.SignalConfigure.Name, c)
	}
	in := fresh(2)
	in.From = "one"
	e.at(time.Second, func() { send("two", "hub-b") })
	e.at(2*time.Second, func() {
		s := e.status()
		require.Equal(t, "hub-a", s.Hubs[0].Name, "the list in use stays")
		require.Equal(t, "one", s.List.From)
		require.NotNil(t, s.Conflict)
		require.Equal(t, "two", s.Conflict.From)
		require.Equal(t, []string{"hub-b"}, s.Conflict.Hubs)
		send("two", "hub-a")
	})
	e.at(3*time.Second, func() {
		require.Nil(t, e.status().Conflict, "it has the same now")
		send("two", "hub-b")
		send("two", "hub-b")
	})
	e.at(4*time.Second, func() { require.Equal(t, 2, e.status().Conflict.Count) })
	e.at(10*time.Minute, func() {
		require.Nil(t, e.status().Conflict, "it has ended")
		send("two", "hub-b")
	})
	next := e.run(in, 11*time.Minute)
	require.Equal(t, "two", next.State.Value.List.From, "the other list belongs to no process any more")
	require.Equal(t, "hub-b", next.State.Value.Book.Hubs[0].Name)
}
