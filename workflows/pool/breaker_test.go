package pool_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// report sends the n-th scan's experience with hub-a.
func (e *poolEnv) report(n int, class model.FailureClass, after time.Duration) {
	e.locked(func() { e.open[holderOf(n)] = chainOf(n) })
	e.SignalWorkflow(workflows.SignalHubReport.Name, workflows.HubReport{
		Holder: holderOf(n), Hub: "hub-a", Class: class, Reason: "the hub says " + string(class), RetryAfter: after, Waiting: class != "",
	})
}

func TestBreakerTable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		reports []model.FailureClass
		after   time.Duration
		tripped bool
		probe   time.Duration
	}{
		{"four transient failures", []model.FailureClass{"transient", "transient", "transient", "transient"}, 0, false, 0},
		{"five transient failures", []model.FailureClass{"transient", "transient", "transient", "transient", "transient"}, 0, true, 5 * time.Second},
		{"a success between", []model.FailureClass{"transient", "transient", "transient", "transient", "", "transient"}, 0, false, 0},
		{"throttled once", []model.FailureClass{model.Throttled}, 0, true, 5 * time.Second},
		{"throttled, with a wish", []model.FailureClass{model.Throttled}, time.Minute, true, time.Minute},
		{"throttled, with a huge wish", []model.FailureClass{model.Throttled}, 1000 * time.Hour, true, time.Hour},
		{"unauthorized", []model.FailureClass{model.Unauthorized}, 0, true, 5 * time.Second},
		{"a certificate that is not trusted", []model.FailureClass{model.Invalid}, 0, true, 5 * time.Second},
		{"not found", []model.FailureClass{model.NotFound, model.NotFound, model.NotFound, model.NotFound, model.NotFound, model.NotFound}, 0, false, 0},
		{"unsupported", []model.FailureClass{model.Unsupported}, 0, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := newPoolEnv(t)
			e.down["hub-a"] = hubError{class: model.Transient}
			e.at(time.Second, func() {
				for _, class := range c.reports {
					e.report(1, class, c.after)
				}
			})
			e.at(2*time.Second, func() {
				e.acquire(2, workflows.PriorityPod)
				hub := e.status().Hubs[0]
				require.Equal(t, c.tripped, !hub.TrippedSince.IsZero())
				if c.tripped {
					require.Equal(t, poolStart.Add(time.Second+c.probe), hub.NextProbe)
					require.NotEmpty(t, hub.Reason)
				}
			})
			e.run(fresh(1), 3*time.Second)
			require.Equal(t, c.tripped, len(e.grants(2)) == 0)
			first := c.tripped && len(c.reports) == 1
			require.Equal(t, first, len(e.signaled(workflows.SignalHubAvailable.Name)) == 0, "a scan that waits for an available hub is answered at once")
		})
	}
}

func TestATrippedHubIsProbedAndThenAvailableForAllWhoWait(t *testing.T) {
	t.Parallel()
	e := newPoolEnv(t)
	e.down["hub-a"] = hubError{class: model.Transient}
	e.at(time.Second, func() {
		for n := 1; n <= 5; n++ {
			e.report(n, model.Transient, 0)
		}
		e.acquire(6, workflows.PriorityPod)
	})
	e.at(100*time.Second, func() {
		// 5, 10, 20 and 40 s were waited; the next probe is 80 s later.
		require.Equal(t, 4, e.asked["hub-a"])
		require.Empty(t, e.grants(6))
		require.Contains(t, e.status().Waiters[0].WaitsFor, "the hub says transient")
		e.locked(func() { delete(e.down, "hub-a") })
		e.report(1, "", 0)
	})
	e.at(101*time.Second, func() {
		require.ElementsMatch(t, []string{holderOf(1), holderOf(2), holderOf(3), holderOf(4), holderOf(5)}, e.signaled(workflows.SignalHubAvailable.Name))
		require.NotEmpty(t, e.grants(6))
	})
	next := e.run(fresh(1), 110*time.Second)
	require.False(t, next.State.Value.Book.Hub("hub-a").Tripped)
	require.Equal(t, 5, e.asked["hub-a"], "a scan's success brings the probe forward, and one is enough")
}

func TestAPauseIsNotLiftedByAProbe(t *testing.T) {
	t.Parallel()
	e := newPoolEnv(t)
	e.at(time.Second, func() { e.update(workflows.UpdatePause, "hub-a"); e.report(1, model.Throttled, 10*time.Second) })
	e.at(2*time.Second, func() { e.acquire(2, workflows.PriorityPod) })
	e.at(20*time.Second, func() {
		hub := e.status().Hubs[0]
		require.True(t, hub.TrippedSince.IsZero(), "the probe has opened it")
		require.True(t, hub.Paused)
		require.Empty(t, e.grants(2))
		require.Equal(t, "hub-a: paused by an operator", e.status().Waiters[0].WaitsFor)
		e.update(workflows.UpdateResume, "hub-a")
	})
	e.run(fresh(1), 30*time.Second)
	require.NotEmpty(t, e.grants(2))
}

func TestADownHubHoldsUpOnlyItsOwnLeases(t *testing.T) {
	t.Parallel()
	e := newPoolEnv(t)
	e.down["hub-a"] = hubError{class: model.Transient}
	in := fresh(5)
	in.Hubs = append(in.Hubs, workflows.HubConfig{Name: "hub-b", Limit: 1})
	e.at(time.Second, func() { e.report(9, model.Unauthorized, 0) })
	e.at(2*time.Second, func() { e.acquire(1, workflows.PriorityPod); e.acquire(2, workflows.PriorityPod, "hub-a") })
	e.run(in, 10*time.Second)
	require.Equal(t, "hub-b", e.newest(1).Hub)
	require.Empty(t, e.grants(2))
}
