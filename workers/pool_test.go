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

func (f *fakePool) ConfigureHubs(_ context.Context, hubs []workflows.HubConfig) error {
	f.configured++
	f.hubs = hubs
	return nil
}

func (f *fakePool) ReplaceWedged(context.Context) (bool, error) { return f.wedged, nil }

func (f *fakePool) Signal(_ context.Context, _ string, _ any, hubs []workflows.HubConfig) error {
	f.hubs = hubs
	return nil
}

func TestPoolThatIsWedgedIsReplaced(t *testing.T) {
	hubs := []workflows.HubConfig{{Name: "one", Limit: 1}}
	f := &fakePool{errs: []error{context.DeadlineExceeded}, wedged: true}
	known, err := newPool(f, hubs).Hubs(t.Context())
	require.NoError(t, err)
	require.Len(t, known, 1)
	require.Equal(t, 1, f.configured, "started again with the hubs configured here")

	busy := &fakePool{errs: []error{context.DeadlineExceeded}}
	_, err = newPool(busy, hubs).Hubs(t.Context())
	require.ErrorIs(t, err, context.DeadlineExceeded, "a pool that is only busy is left alone")
	require.Zero(t, busy.configured)
}

func TestPoolIsAskedOnceForAllScansOfASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakePool{}
		p := newPool(f, nil)
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
	p := newPool(f, nil)
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
		p := newPool(f, nil)
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
	hubs, err := newPool(f, configured).Hubs(t.Context())
	require.NoError(t, err)
	require.Len(t, hubs, 1)
	require.Equal(t, 1, f.configured)
	require.Equal(t, configured, f.hubs)
}
