package pool_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
	"github.com/perceptor/perceptor/workflows/pool"
)

// poolEnv runs one HubPool among scans and hubs that the test plays.
type poolEnv struct {
	*testsuite.TestWorkflowEnvironment
	t *testing.T

	mu sync.Mutex
	// sent are the pool's signals, in order.
	sent []outgoing
	// react plays the scan that gets a signal; an error means that it could not be delivered.
	react func(outgoing) error
	// open are the chains of the scans that run, by workflow id.
	open map[string]string
	// scans are what each hub shows, by hub and name; asked counts the questions.
	scans map[string]model.HubScan
	asked map[string]int
	// find answers for the hubs instead of scans, when set.
	find func(hub, name string) model.HubScan
	// queues are the switches of the hubs' queues, in order.
	queues []string
	// down is what a hub's answers fail with.
	down map[string]error
}

// outgoing is one signal of the pool.
type outgoing struct {
	to, name string
	value    any
	at       time.Duration
}

var poolStart = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newPoolEnv(t *testing.T) *poolEnv {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	e := &poolEnv{
		TestWorkflowEnvironment: suite.NewTestWorkflowEnvironment(), t: t,
		open: map[string]string{}, scans: map[string]model.HubScan{}, asked: map[string]int{}, down: map[string]error{},
	}
	e.SetStartTime(poolStart)
	e.SetTestTimeout(30 * time.Second)
	e.RegisterActivity(activities.NewPoolSteps(e, e, e))
	hubs := activities.HubMap{}
	for _, name := range []string{"hub-a", "hub-b", "hub-c"} {
		hubs[name] = &playedHub{name: name, env: e}
	}
	e.RegisterActivity(activities.NewHubSteps(hubs, nil))
	e.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(
		func(_, to, _, name string, value any) error { return e.deliver(to, name, value) })
	return e
}

func (e *poolEnv) deliver(to, name string, value any) error {
	e.mu.Lock()
	o := outgoing{to: to, name: name, value: value, at: e.since()}
	e.sent = append(e.sent, o)
	react := e.react
	_, open := e.open[to]
	e.mu.Unlock()
	if react != nil {
		return react(o)
	}
	if !open {
		return &temporal.UnknownExternalWorkflowExecutionError{}
	}
	return nil
}

// SignalScan is how the pool speaks to scans by a step.
func (e *poolEnv) SignalScan(_ context.Context, to, name string, value any) (bool, error) {
	var grant workflows.Grant
	if err := json.Unmarshal(value.(json.RawMessage), &grant); err != nil {
		return false, err
	}
	err := e.deliver(to, name, grant)
	if errors.Is(err, errMissed) {
		return false, err
	}
	return err == nil, nil
}

// errMissed is what react says for a scan that cannot be signaled just now.
var errMissed = errors.New("no answer")

// since is the time since the pool began.
func (e *poolEnv) since() time.Duration { return e.Now().Sub(poolStart) }

// IsOpen and ListOpen play the server.
func (e *poolEnv) IsOpen(_ context.Context, h activities.Holder) (bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.open[h.WorkflowID] == h.Chain, nil
}

func (e *poolEnv) ListOpen(context.Context) ([]activities.Holder, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var holders []activities.Holder
	for id, chain := range e.open {
		holders = append(holders, activities.Holder{WorkflowID: id, Chain: chain})
	}
	return holders, nil
}

// StopHubQueue and OpenHubQueue play the server's queues.
func (e *poolEnv) StopHubQueue(_ context.Context, _, hub string) error {
	e.locked(func() { e.queues = append(e.queues, "stop "+hub) })
	return nil
}

func (e *poolEnv) OpenHubQueue(_ context.Context, _, hub string) error {
	e.locked(func() { e.queues = append(e.queues, "open "+hub) })
	return nil
}

// playedHub is a hub whose answers the test chooses. What the pool never asks is left to the embedded nil.
type playedHub struct {
	activities.Hub
	name string
	env  *poolEnv
}

func (h *playedHub) FindScan(_ context.Context, name string) (model.HubScan, error) {
	h.env.mu.Lock()
	defer h.env.mu.Unlock()
	key := h.name + " " + name
	h.env.asked[key]++
	if err := h.env.down[h.name]; err != nil {
		return model.HubScan{}, err
	}
	if h.env.find != nil {
		return h.env.find(h.name, name), nil
	}
	if scan, ok := h.env.scans[key]; ok {
		return scan, nil
	}
	return model.HubScan{Hub: h.name, Name: name, State: model.HubScanAbsent}, nil
}

func (h *playedHub) Ready(context.Context) error {
	h.env.mu.Lock()
	defer h.env.mu.Unlock()
	h.env.asked[h.name]++
	return h.env.down[h.name]
}

// hubError is a hub's failure with its class.
type hubError struct {
	class model.FailureClass
	after time.Duration
}

func (e hubError) Error() string                    { return "the hub says " + string(e.class) }
func (e hubError) FailureClass() model.FailureClass { return e.class }
func (e hubError) RetryAfter() time.Duration        { return e.after }

// at lets something happen some time after the start.
func (e *poolEnv) at(after time.Duration, do func()) { e.RegisterDelayedCallback(do, after) }

// untilTooLong keeps something that the pool has sent under way until the run has become too long and a request has arrived.
func (e *poolEnv) untilTooLong(request func()) {
	arrived := make(chan struct{})
	e.at(0, func() { e.SetContinueAsNewSuggested(true) })
	e.at(0, func() {
		request()
		e.at(0, func() { close(arrived) })
	})
	<-arrived
}

// locked changes what the test plays.
func (e *poolEnv) locked(do func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	do()
}

func poolDigest(n int) model.Digest { return model.Digest(fmt.Sprintf("sha256:%064d", n)) }

func holderOf(n int) string { return workflows.ScanImageID(poolDigest(n)) }

func chainOf(n int) string { return fmt.Sprintf("chain-%d", n) }

// wants is the n-th scan's request.
func wants(n int, priority workflows.Priority, hubs ...string) workflows.Acquire {
	return workflows.Acquire{Holder: holderOf(n), Chain: chainOf(n), Digest: poolDigest(n), Priority: priority, Hubs: hubs}
}

// acquire lets the n-th scan run and ask.
func (e *poolEnv) acquire(n int, priority workflows.Priority, hubs ...string) {
	e.locked(func() { e.open[holderOf(n)] = chainOf(n) })
	e.SignalWorkflow(workflows.SignalAcquire.Name, wants(n, priority, hubs...))
}

// kill ends the n-th scan.
func (e *poolEnv) kill(n int) { e.locked(func() { delete(e.open, holderOf(n)) }) }

// confirm and release answer for the n-th scan with its newest grant.
func (e *poolEnv) confirm(n int) {
	e.SignalWorkflow(workflows.SignalConfirm.Name, workflows.Confirm{Chain: chainOf(n), Attempt: e.newest(n).Attempt})
}

func (e *poolEnv) release(n int) {
	e.SignalWorkflow(workflows.SignalRelease.Name, workflows.Release{Chain: chainOf(n), Attempt: e.newest(n).Attempt})
}

// grants are the grants sent to the n-th scan.
func (e *poolEnv) grants(n int) []workflows.Grant {
	e.mu.Lock()
	defer e.mu.Unlock()
	var grants []workflows.Grant
	for _, o := range e.sent {
		if g, ok := o.value.(workflows.Grant); ok && o.to == holderOf(n) {
			grants = append(grants, g)
		}
	}
	return grants
}

func (e *poolEnv) newest(n int) workflows.Grant {
	grants := e.grants(n)
	require.NotEmpty(e.t, grants, "scan %d has no grant", n)
	return grants[len(grants)-1]
}

// signaled lists the scans that were sent the named signal, in order.
func (e *poolEnv) signaled(name string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var signaled []string
	for _, o := range e.sent {
		if o.name == name {
			signaled = append(signaled, o.to)
		}
	}
	return signaled
}

// status asks the running pool.
func (e *poolEnv) status() workflows.HubPoolStatus {
	value, err := e.QueryWorkflow(workflows.QueryStatus)
	require.NoError(e.t, err)
	var status workflows.HubPoolStatus
	require.NoError(e.t, value.Get(&status))
	return status
}

// update sends an operator's update and answers what came of it.
func (e *poolEnv) update(name string, in any) *updateAnswer {
	answer := &updateAnswer{}
	e.UpdateWorkflow(name, "", answer, in)
	return answer
}

// updateAnswer keeps what an update was answered.
type updateAnswer struct {
	value any
	err   error
}

func (a *updateAnswer) Accept()          {}
func (a *updateAnswer) Reject(err error) { a.err = err }
func (a *updateAnswer) Complete(v any, err error) {
	a.value, a.err = v, err
}

// run plays until the given time and answers what the pool carries into its next run.
func (e *poolEnv) run(in workflows.HubPoolInput, until time.Duration) workflows.HubPoolInput {
	e.t.Helper()
	e.at(until, func() {
		e.SetContinueAsNewSuggested(true)
		e.SignalWorkflow(workflows.SignalConfirm.Name, workflows.Confirm{Chain: "unknown"})
	})
	if in.State.Value != nil {
		e.SetContinuedExecutionRunID("the run before")
	}
	e.ExecuteWorkflow(pool.HubPool, in)
	require.True(e.t, e.IsWorkflowCompleted())
	var again *workflow.ContinueAsNewError
	require.ErrorAs(e.t, e.GetWorkflowError(), &again)
	var next workflows.HubPoolInput
	require.NoError(e.t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &next))
	require.NotNil(e.t, next.State.Value)
	return next
}

// fresh is the input of a pool with one hub of that limit.
func fresh(limit int) workflows.HubPoolInput {
	return workflows.HubPoolInput{Fresh: true, Hubs: []workflows.HubConfig{{Name: "hub-a", Limit: limit}}}
}
