package pool_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/lease"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

func TestTheFenceIsTheOneOfUploads(t *testing.T) {
	t.Parallel()
	require.Equal(t, workflows.UploadFence, lease.Fence)
}

func TestPoolGrantsUpToTheLimitAndQueuesTheRest(t *testing.T) {
	t.Parallel()
	e := newPoolEnv(t)
	e.react = func(o outgoing) error {
		if o.to == holderOf(3) && len(e.grants(3)) < 3 {
			return errMissed
		}
		return nil
	}
	e.at(time.Second, func() {
		e.acquire(1, workflows.PriorityBackground)
		e.acquire(2, workflows.PriorityPod)
		e.acquire(3, workflows.PriorityPod)
	})
	e.at(2*time.Second, func() {
		s := e.status()
		require.Len(t, s.Leases, 2)
		require.Len(t, s.Waiters, 1)
		require.Equal(t, "hub-a: 2 of 2 leases are out", s.Waiters[0].WaitsFor)
		require.Equal(t, workflows.PriorityPod, s.Waiters[0].Priority)
	})
	e.at(3*time.Second, func() { e.release(1) })
	next := e.run(fresh(2), 5*time.Minute)
	require.Len(t, e.grants(3), 3, "missed, so sent again after 10 s and 20 s more, and then no longer")
	require.Len(t, e.grants(2), 1, "delivered, so sent once")
	require.Len(t, next.State.Value.Book.Leases, 2)
	require.Empty(t, next.State.Value.Book.Waiters)
}

func TestPoolLetsTheLeaseOfAnEndedScanDrain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		scan  model.HubScan
		freed bool
	}{
		{"absent twice after the fence", model.HubScan{}, true},
		{"done", model.HubScan{State: model.HubScanComplete, StartedAt: poolStart.Add(10 * time.Second)}, true},
		{"an older scan of the name only", model.HubScan{State: model.HubScanComplete, StartedAt: poolStart.Add(-time.Hour)}, true},
		{"in progress", model.HubScan{State: model.HubScanInProgress, StartedAt: poolStart.Add(10 * time.Second)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := newPoolEnv(t)
			if c.scan.State != "" {
				e.scans["hub-a "+poolDigest(1).Hex()] = c.scan
			}
			e.at(time.Second, func() { e.acquire(1, workflows.PriorityPod) })
			e.at(2*time.Second, func() { e.confirm(1); e.kill(1); e.acquire(2, workflows.PriorityPod) })
			e.at(65*time.Second, func() {
				if c.scan.State == model.HubScanComplete && c.scan.StartedAt.After(poolStart) {
					require.Len(t, e.grants(2), 1, "the hub is done, so no fence is needed")
					return
				}
				require.Equal(t, workflows.LeaseState(lease.Draining), e.status().Leases[0].State)
				require.Empty(t, e.grants(2))
			})
			next := e.run(fresh(1), 120*time.Second)
			if c.freed {
				require.NotEmpty(t, e.grants(2))
				require.Equal(t, chainOf(2), next.State.Value.Book.Leases[0].Chain)
				return
			}
			require.Empty(t, e.grants(2))
			require.Equal(t, chainOf(1), next.State.Value.Book.Leases[0].Chain)
			require.Greater(t, e.asked["hub-a "+poolDigest(1).Hex()], 10)
		})
	}
}

func TestPoolChecksAHolderItCannotReach(t *testing.T) {
	t.Parallel()
	e := newPoolEnv(t)
	e.at(time.Second, func() { e.acquire(1, workflows.PriorityPod); e.kill(1) })
	e.at(5*time.Second, func() { require.Equal(t, workflows.LeaseState(lease.Draining), e.status().Leases[0].State) })
	next := e.run(fresh(1), 30*time.Second)
	require.Empty(t, next.State.Value.Book.Leases)
}

func TestPoolSendsASecondScanOfAnImageToTheHubThatHasIt(t *testing.T) {
	t.Parallel()
	e := newPoolEnv(t)
	again := wants(1, workflows.PriorityPod)
	again.Chain = "again"
	e.at(time.Second, func() { e.acquire(1, workflows.PriorityPod) })
	e.at(2*time.Second, func() {
		e.confirm(1)
		e.locked(func() { e.open[again.Holder] = again.Chain })
		e.SignalWorkflow(workflows.SignalAcquire.Name, again)
	})
	e.at(4*time.Second, func() {
		g := e.newest(1)
		require.Equal(t, workflows.Grant{Chain: "again", Hub: "hub-a", WaitFor: true}, g)
		s := e.status()
		require.Equal(t, workflows.LeaseState(lease.Draining), s.Leases[0].State, "the older scan was checked at once")
		require.Contains(t, s.Waiters[0].WaitsFor, "hub-a, which has this image")
	})
	e.run(fresh(2), time.Minute)
	require.Equal(t, "again", e.newest(1).Chain)
	require.False(t, e.newest(1).WaitFor, "the hub knew nothing of the older one")
}

func TestAPoolWithoutStateGrantsNothingUntilEverybodyWasHeard(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		answer bool
		opens  time.Duration
	}{
		{"all answer", true, 20 * time.Second},
		{"one stays silent", false, 6*time.Minute + time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := newPoolEnv(t)
			held := wants(1, workflows.PriorityPod)
			held.Held = &workflows.Grant{Chain: chainOf(1), Hub: "hub-a", Attempt: model.AttemptID{Millis: poolStart.UnixMilli() + 3_600_000}}
			e.open[holderOf(1)], e.open[holderOf(2)] = chainOf(1), chainOf(2)
			e.at(5*time.Second, func() {
				require.ElementsMatch(t, []string{holderOf(1), holderOf(2)}, e.signaled(workflows.SignalAnnounce.Name))
				e.SignalWorkflow(workflows.SignalAcquire.Name, held)
				e.acquire(3, workflows.PriorityPod)
			})
			e.at(10*time.Second, func() {
				require.Empty(t, e.grants(3))
				require.Equal(t, poolStart.Add(6*time.Minute), e.status().ColdUntil)
				require.Contains(t, e.status().ColdWaitsFor, holderOf(2))
				if c.answer {
					e.SignalWorkflow(workflows.SignalRelease.Name, workflows.Release{Chain: chainOf(2)})
				}
			})
			in := fresh(2)
			in.Fresh = false
			next := e.run(in, c.opens)
			require.Nil(t, next.State.Value.Book.Cold)
			require.NotEmpty(t, e.grants(3))
			require.Len(t, next.State.Value.Book.Leases, 2)
			require.True(t, held.Held.Attempt.Less(e.newest(3).Attempt), "attempts grow across pools")
		})
	}
}

func TestPoolContinuesAsNewWithoutLosingAnything(t *testing.T) {
	t.Parallel()
	e := newPoolEnv(t)
	waited := false
	e.react = func(o outgoing) error {
		if o.to != holderOf(3) {
			return nil
		}
		e.untilTooLong(func() { e.acquire(5, workflows.PriorityBackground, "hub-a") })
		waited = true
		return nil
	}
	e.at(time.Second, func() {
		for n := 1; n <= 4; n++ {
			e.acquire(n, workflows.PriorityPod, "hub-a")
		}
	})
	var paused, limited *updateAnswer
	e.at(2*time.Second, func() {
		e.confirm(1)
		paused = e.update(workflows.UpdatePause, "hub-b")
		limited = e.update(workflows.UpdateLimit, workflows.HubLimit{Hub: "hub-a", Limit: 3})
	})
	in := fresh(2)
	in.Hubs = append(in.Hubs, workflows.HubConfig{Name: "hub-b", Limit: 1})
	next := e.run(in, time.Hour)
	require.True(t, waited, "the run ended while a signal was under way")
	require.NoError(t, paused.err)
	require.NoError(t, limited.err)
	require.Less(t, e.since(), time.Minute)
	book := next.State.Value.Book
	require.Equal(t, 3, book.Hub("hub-a").Limit)
	require.True(t, book.Hub("hub-b").Paused)
	require.Len(t, book.Leases, 3)
	require.Len(t, book.Waiters, 2)

	f := newPoolEnv(t)
	for n := 1; n <= 5; n++ {
		f.open[holderOf(n)] = chainOf(n)
	}
	f.at(2*time.Second, func() {
		require.Len(t, f.status().Leases, 3)
		f.SignalWorkflow(workflows.SignalRelease.Name, workflows.Release{Chain: chainOf(1), Attempt: book.Leases[0].Attempt})
	})
	last := f.run(next, time.Minute)
	require.Empty(t, f.grants(1), "confirmed in the first run")
	require.Empty(t, f.grants(2), "delivered in the first run")
	require.NotEmpty(t, f.grants(4), "its turn comes in the second run")
	require.Len(t, last.State.Value.Book.Leases, 3)
	require.Equal(t, chainOf(5), last.State.Value.Book.Waiters[0].Chain)
}

// TestPoolMovesOnOnlyWhenItsSignalsHaveArrived: the server drops a signal whose sender has closed.
func TestPoolMovesOnOnlyWhenItsSignalsHaveArrived(t *testing.T) {
	t.Parallel()
	e := newPoolEnv(t)
	e.open[holderOf(1)] = chainOf(1)
	waited := false
	e.react = func(o outgoing) error {
		require.Equal(t, workflows.SignalAnnounce.Name, o.name)
		e.untilTooLong(func() { e.acquire(2, workflows.PriorityPod, "hub-a") })
		waited = true
		return nil
	}
	cold := fresh(1)
	cold.Fresh = false
	next := e.run(cold, time.Hour)
	require.True(t, waited, "the run ended while an announcement was under way")
	require.NotNil(t, next.State.Value.Book.Cold)
	require.Len(t, next.State.Value.Book.Waiters, 1)
}
