package pool_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

func TestTheQueueOfAClosedHubIsStopped(t *testing.T) {
	t.Parallel()
	e := newPoolEnv(t)
	hubs := workflows.HubPoolInput{Fresh: true, Hubs: []workflows.HubConfig{{Name: "hub-a", Limit: 1}, {Name: "hub-b", Limit: 1}}}
	e.down["hub-a"] = hubError{class: model.Transient}
	e.at(time.Second, func() {
		require.ElementsMatch(t, []string{"open hub-a", "open hub-b"}, e.queues, "what the pool before has stopped only this pool opens")
		e.report(1, model.Throttled, 0)
	})
	e.at(2*time.Second, func() { require.Equal(t, "stop hub-a", e.queues[2]) })
	e.at(10*time.Second, func() {
		require.Len(t, e.queues, 3, "a probe that fails changes nothing")
		e.locked(func() { delete(e.down, "hub-a") })
	})
	next := e.run(hubs, time.Minute)
	require.Equal(t, []string{"stop hub-a", "open hub-a"}, e.queues[2:])

	again := newPoolEnv(t)
	again.run(next, time.Minute)
	require.Empty(t, again.queues, "the next run knows")
}

func TestAHubThatIsTrippedWhenThePoolGoesOnStaysStopped(t *testing.T) {
	t.Parallel()
	e := newPoolEnv(t)
	e.down["hub-a"] = hubError{class: model.Transient}
	e.at(time.Second, func() { e.report(1, model.Throttled, time.Hour) })
	next := e.run(fresh(1), time.Minute)
	require.Equal(t, []string{"open hub-a", "stop hub-a"}, e.queues)
	again := newPoolEnv(t)
	again.run(next, 2*time.Hour)
	require.Equal(t, []string{"open hub-a"}, again.queues, "an hour later it answers")
}

func TestAColdPoolOpensAQueueWhenItsHubHasAnswered(t *testing.T) {
	t.Parallel()
	e := newPoolEnv(t)
	e.run(workflows.HubPoolInput{Hubs: []workflows.HubConfig{{Name: "hub-a", Limit: 1}}}, time.Minute)
	require.Equal(t, []string{"open hub-a"}, e.queues)

	down := newPoolEnv(t)
	down.down["hub-a"] = hubError{class: model.Unauthorized}
	down.run(workflows.HubPoolInput{Hubs: []workflows.HubConfig{{Name: "hub-a", Limit: 1}}}, time.Minute)
	require.Equal(t, []string{"stop hub-a"}, down.queues, "and stops it where the hub is down")
}

func TestAHubThatComesBackToTheConfigurationHasItsQueueOpened(t *testing.T) {
	t.Parallel()
	e := newPoolEnv(t)
	e.down["hub-a"] = hubError{class: model.Transient}
	e.at(time.Second, func() { e.report(1, model.Throttled, time.Hour) })
	e.at(2*time.Second, func() {
		e.SignalWorkflow(workflows.SignalConfigure.Name, workflows.Configure{Hubs: []workflows.HubConfig{{Name: "hub-b", Limit: 1}}})
	})
	e.at(3*time.Second, func() {
		e.SignalWorkflow(workflows.SignalConfigure.Name, workflows.Configure{Hubs: []workflows.HubConfig{{Name: "hub-a", Limit: 1}}})
	})
	e.run(fresh(1), time.Minute)
	require.Equal(t, []string{"open hub-a", "stop hub-a", "open hub-b", "open hub-a"}, e.queues)
}
