package workers

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

// fakePool answers with the errors it is given, then with one hub.
type fakePool struct {
	errs       []error
	asked      atomic.Int32
	configured int
	hubs       []workflows.HubConfig
	slow       time.Duration
	wedged     bool
	status     workflows.HubPoolStatus
	list       workflows.Configure
}

func (f *fakePool) Hubs(context.Context) ([]activities.HubState, error) {
	f.asked.Add(1)
	time.Sleep(f.slow)
	if len(f.errs) > 0 {
		err := f.errs[0]
		f.errs = f.errs[1:]
		return nil, err
	}
	return []activities.HubState{{Name: "one"}}, nil
}

func (f *fakePool) ConfigureHubs(_ context.Context, list workflows.Configure) error {
	f.configured++
	f.hubs, f.list = list.Hubs, list
	return nil
}

func (f *fakePool) Status(context.Context) (workflows.HubPoolStatus, error) { return f.status, nil }

func (f *fakePool) ReplaceWedged(context.Context) (bool, error) { return f.wedged, nil }

func (f *fakePool) Signal(_ context.Context, _ string, _ any, list workflows.Configure) error {
	f.hubs = list.Hubs
	return nil
}

func TestPoolThatIsWedgedIsReplaced(t *testing.T) {
	hubs := []workflows.HubConfig{{Name: "one", Limit: 1}}
	f := &fakePool{errs: []error{context.DeadlineExceeded}, wedged: true}
	known, err := newPool(f, workflows.Configure{Hubs: hubs}).Hubs(t.Context())
	require.NoError(t, err)
	require.Len(t, known, 1)
	require.Equal(t, 1, f.configured, "started again with the hubs configured here")

	busy := &fakePool{errs: []error{context.DeadlineExceeded}}
	_, err = newPool(busy, workflows.Configure{Hubs: hubs}).Hubs(t.Context())
	require.ErrorIs(t, err, context.DeadlineExceeded, "a pool that is only busy is left alone")
	require.Zero(t, busy.configured)
}

func TestPoolIsAskedOnceForAllScansOfASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakePool{}
		p := newPool(f, workflows.Configure{})
		for range 3 {
			hubs, err := p.Hubs(t.Context())
			require.NoError(t, err)
			require.Equal(t, []activities.HubState{{Name: "one"}}, hubs)
		}
		require.Equal(t, 1, int(f.asked.Load()))
		time.Sleep(hubsFresh)
		_, err := p.Hubs(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2, int(f.asked.Load()))
	})
}

func TestPoolThatDoesNotAnswerIsAskedAgainAtOnce(t *testing.T) {
	f := &fakePool{errs: []error{errors.New("busy")}}
	p := newPool(f, workflows.Configure{})
	_, err := p.Hubs(t.Context())
	require.ErrorContains(t, err, "busy")
	hubs, err := p.Hubs(t.Context())
	require.NoError(t, err)
	require.Len(t, hubs, 1)
}

// TestSlowPoolHoldsUpNoScan: every question of a scan has a deadline shorter than the pool may take.
func TestSlowPoolHoldsUpNoScan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakePool{slow: 8 * time.Second}
		p := newPool(f, workflows.Configure{})
		soon := func() context.Context {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			t.Cleanup(cancel)
			return ctx
		}
		_, err := p.Hubs(soon())
		require.ErrorIs(t, err, context.DeadlineExceeded, "nothing is known yet")
		hubs, err := p.Hubs(soon())
		require.NoError(t, err)
		require.Len(t, hubs, 1)
		require.Equal(t, 1, int(f.asked.Load()), "the question went on without the one who gave up")
		time.Sleep(hubsFresh)
		asked := time.Now()
		for range 3 {
			_, err = p.Hubs(soon())
			require.NoError(t, err)
		}
		require.LessOrEqual(t, time.Since(asked), 3*hubsPatience)
		require.Equal(t, 2, int(f.asked.Load()))
		time.Sleep(f.slow)
	})
}

func TestPoolThatIsGoneIsStarted(t *testing.T) {
	configured := []workflows.HubConfig{{Name: "one", Limit: 2}}
	f := &fakePool{errs: []error{starter.ErrNoPool}}
	hubs, err := newPool(f, workflows.Configure{Hubs: configured}).Hubs(t.Context())
	require.NoError(t, err)
	require.Len(t, hubs, 1)
	require.Equal(t, 1, f.configured)
	require.Equal(t, configured, f.hubs)
}

// TestListIsConfirmedNowAndThen confirms the list in use at most once a minute over all processes, and repeats another list.
func TestListIsConfirmedNowAndThen(t *testing.T) {
	mine := workflows.Configure{Hubs: []workflows.HubConfig{{Name: "one", Limit: 1}}, From: "me"}
	f, now := &fakePool{}, time.Now()
	p := newPool(f, mine)
	f.status.List = workflows.HubList{Hash: workflows.ListHash(mine.Hubs), From: "another", Confirmed: now.Add(-time.Second)}
	inUse, from, err := p.confirm(t.Context(), now)
	require.NoError(t, err)
	require.True(t, inUse)
	require.Equal(t, "another", from)
	require.Zero(t, f.configured, "another process has said so a moment ago")
	f.status.List.Confirmed = now.Add(-workflows.ListConfirmed)
	_, _, err = p.confirm(t.Context(), now)
	require.NoError(t, err)
	require.Equal(t, 1, f.configured)

	f.status.List = workflows.HubList{Hash: "other", From: "another", Confirmed: now}
	inUse, _, err = p.confirm(t.Context(), now)
	require.NoError(t, err)
	require.False(t, inUse)
	require.Equal(t, 2, f.configured, "so that the conflict is shown")
	require.Empty(t, f.list.Replaces, "it was not changed from the list in use")

	next := p.configure(workflows.Configure{Hubs: []workflows.HubConfig{{Name: "two", Limit: 1}}, From: "me"})
	require.Equal(t, workflows.ListHash(mine.Hubs), next.Replaces)
}
