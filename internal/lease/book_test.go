package lease

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

// digest makes a digest out of a number.
func digest(n int) model.Digest { return model.Digest(fmt.Sprintf("sha256:%064d", n)) }

// ask is a request of the n-th scan.
func ask(n, urgency int, hubs ...string) Request {
	return Request{Chain: fmt.Sprintf("c%d", n), Holder: fmt.Sprintf("scan/%d", n), Digest: digest(n), Priority: urgency, Hubs: hubs}
}

func newBook(t *testing.T, hubs ...Config) *Book {
	t.Helper()
	b := New(startOfTime)
	require.NoError(t, b.Configure(hubs))
	return b
}

// granted lists "chain hub" of what is granted now.
func granted(b *Book, now time.Time) []string {
	var names []string
	for _, g := range b.GrantNext(now, 100) {
		names = append(names, g.Chain+" "+g.Hub)
	}
	return names
}

func TestValidateNamesEveryMistake(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		hubs []Config
		says string
	}{
		{"right", []Config{{Name: "a", Limit: 1}, {Name: "b", Limit: 2}}, ""},
		{"none", nil, ""},
		{"limit 0", []Config{{Name: "a"}}, `hub "a" has the limit 0; it must be at least 1`},
		{"negative limit", []Config{{Name: "a", Limit: -3}}, `hub "a" has the limit -3`},
		{"twice", []Config{{Name: "a", Limit: 1}, {Name: "a", Limit: 1}}, `two hubs are named "a"`},
		{"no name", []Config{{Name: " ", Limit: 1}}, "hub 1 of 1 has no name"},
		{"negative settle", []Config{{Name: "a", Limit: 1, Settle: -1}}, "cannot be negative"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := New(startOfTime).Configure(c.hubs)
			if c.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestAWrongConfigurationChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBook(t, Config{Name: "a", Limit: 2})
	require.Error(t, b.Configure([]Config{{Name: "b", Limit: 1}, {Name: "b", Limit: 1}}))
	require.Equal(t, []Hub{{Name: "a", Limit: 2, Configured: 2}}, b.Hubs)
}

func TestAnOperatorsLimitOutlivesTheSameConfiguration(t *testing.T) {
	t.Parallel()
	b := newBook(t, Config{Name: "a", Limit: 2})
	b.SetLimit("a", 7)
	require.NoError(t, b.Configure([]Config{{Name: "a", Limit: 2}}))
	require.Equal(t, 7, b.Hub("a").Limit)
	require.NoError(t, b.Configure([]Config{{Name: "a", Limit: 3}}))
	require.Equal(t, 3, b.Hub("a").Limit)
}

func TestARemovedHubStaysUntilItsLeasesAreFreed(t *testing.T) {
	t.Parallel()
	b := newBook(t, Config{Name: "a", Limit: 1}, Config{Name: "b", Limit: 1})
	b.Acquire(ask(1, 0, "a"), startOfTime)
	b.Acquire(ask(2, 0, "a"), startOfTime)
	require.Equal(t, []string{"c1 a"}, granted(b, startOfTime))
	require.NoError(t, b.Configure([]Config{{Name: "b", Limit: 1}}))
	require.True(t, b.Hub("a").Removed)
	b.Release(Returned{Chain: "c1"}, startOfTime)
	require.Nil(t, b.Hub("a"))
	require.Empty(t, granted(b, startOfTime), "a hub that is gone gets no scan")
}

func TestGrantsGoToTheFreestHubAndTheMostUrgentScan(t *testing.T) {
	t.Parallel()
	b := newBook(t, Config{Name: "a", Limit: 1}, Config{Name: "b", Limit: 2}, Config{Name: "c", Limit: 2})
	b.Pause("c")
	b.Acquire(ask(1, 3), startOfTime)
	b.Acquire(ask(2, 1), startOfTime)
	b.Acquire(ask(3, 0), startOfTime)
	b.Acquire(ask(4, 0), startOfTime)
	require.Equal(t, []string{"c3 b", "c4 a", "c2 b"}, granted(b, startOfTime))
	b.SetLimit("b", 1)
	b.Release(Returned{Chain: "c3"}, startOfTime)
	require.Empty(t, granted(b, startOfTime), "the limit was lowered to what is out")
	b.Release(Returned{Chain: "c2"}, startOfTime)
	require.Equal(t, []string{"c1 b"}, granted(b, startOfTime))
}

func TestUnconfirmedGrantsAreSentAgainEverMoreSeldom(t *testing.T) {
	t.Parallel()
	b := newBook(t, Config{Name: "a", Limit: 1})
	b.Acquire(ask(1, 0), startOfTime)
	require.Len(t, b.GrantNext(startOfTime, 1), 1)
	var pauses []time.Duration
	now := startOfTime
	for range 8 {
		next := b.NextWake()
		pauses = append(pauses, next.Sub(now))
		now = next
		require.Empty(t, b.Resend(now.Add(-1), 1))
		require.Len(t, b.Resend(now, 1), 1)
	}
	s := time.Second
	require.Equal(t, []time.Duration{10 * s, 20 * s, 40 * s, 80 * s, 160 * s, 300 * s, 300 * s, 300 * s}, pauses)
	b.Confirm("c1", b.Leases[0].Attempt, now)
	require.True(t, b.NextWake().IsZero())
	b.Acquire(ask(1, 0), now)
	require.Len(t, b.Resend(now, 1), 1, "a scan that asks again is answered again")
	require.Empty(t, b.Resend(now.Add(time.Hour), 1))
}

// TestAGrantThatWasToldIsNotHeldYet: its holder may work under one of another book, which then counts.
func TestAGrantThatWasToldIsNotHeldYet(t *testing.T) {
	t.Parallel()
	b := newBook(t, Config{Name: "a", Limit: 1}, Config{Name: "b", Limit: 1})
	b.Acquire(ask(1, 0), startOfTime)
	grants := b.GrantNext(startOfTime, 1)
	require.Len(t, grants, 1)
	b.GrantDelivered("c1", model.AttemptID{}, startOfTime)
	require.Equal(t, startOfTime.Add(firstResend), b.NextWake(), "another attempt was delivered")
	b.GrantDelivered("c1", grants[0].Attempt, startOfTime)
	require.Equal(t, startOfTime.Add(longestResend), b.NextWake())
	other := "a"
	if grants[0].Hub == other {
		other = "b"
	}
	held := ask(1, 0)
	held.Held = &Announced{Hub: other, Attempt: model.AttemptID{Millis: 1}}
	b.Acquire(held, startOfTime.Add(time.Second))
	require.Equal(t, other, b.Lease("c1").Hub)
	require.Equal(t, Held, b.Lease("c1").State)
}

func TestAnImageAtWorkIsWaitedFor(t *testing.T) {
	t.Parallel()
	b := newBook(t, Config{Name: "a", Limit: 2})
	b.Acquire(ask(1, 0), startOfTime)
	require.Equal(t, []string{"c1 a"}, granted(b, startOfTime))
	again := ask(1, 0)
	again.Chain = "c1-again"
	b.Acquire(again, startOfTime)
	require.Empty(t, granted(b, startOfTime))
	answers := b.Redirect(10)
	require.Len(t, answers, 1)
	require.True(t, answers[0].WaitFor)
	require.Equal(t, "a", answers[0].Hub)
	require.Empty(t, b.Redirect(10), "once is enough until it asks again")
	require.Equal(t, []Holder{{Name: "scan/1", Chain: "c1"}}, b.ToCheck(startOfTime), "the older scan is checked at once")
	b.HolderClosed("c1", startOfTime)
	b.ScanSeen("c1", Seen{State: model.HubScanComplete, Started: startOfTime, Asked: startOfTime}, startOfTime)
	require.Equal(t, []string{"c1-again a"}, granted(b, startOfTime))
}

func TestDrainingShowsStuckScansAndFreesThem(t *testing.T) {
	t.Parallel()
	b := newBook(t, Config{Name: "a", Limit: 1})
	b.Acquire(ask(1, 0), startOfTime)
	require.Len(t, b.GrantNext(startOfTime, 1), 1)
	b.HolderClosed("c1", startOfTime)
	now := startOfTime
	for range 300 {
		require.Len(t, b.ToAsk(now), 1)
		require.Empty(t, b.ToAsk(now), "one question at a time")
		b.ScanSeen("c1", Seen{State: model.HubScanInProgress, Asked: now}, now)
		now = later(b.NextWake(), now)
	}
	require.Equal(t, Draining, b.Leases[0].State)
	for b.Leases[0].State != Stuck {
		b.ScanUnknown("c1", now)
		b.ScanSeen("c1", Seen{State: model.HubScanInProgress, Asked: now}, now)
		now = now.Add(time.Minute)
		b.ScanSeen("c1", Seen{State: model.HubScanInProgress, Asked: now}, now)
	}
	require.Greater(t, now.Sub(startOfTime), Hold)
	require.Equal(t, 1, b.InUse("a"), "what is stuck counts")
	require.Empty(t, b.Reset(digest(2)))
	require.Equal(t, []model.Digest{digest(1)}, b.Reset(""))
	require.Empty(t, b.Leases)
}

func TestTimeWithoutAnAnswerCountsForNothing(t *testing.T) {
	t.Parallel()
	b := newBook(t, Config{Name: "a", Limit: 1})
	b.Acquire(ask(1, 0), startOfTime)
	require.Len(t, b.GrantNext(startOfTime, 1), 1)
	b.HolderClosed("c1", startOfTime)
	for i := range 100 {
		at := startOfTime.Add(time.Duration(i) * time.Hour)
		b.ScanSeen("c1", Seen{State: model.HubScanInProgress, Asked: at}, at)
		b.ScanUnknown("c1", at)
	}
	require.Zero(t, b.Leases[0].Drain.Answered)
	require.Equal(t, Draining, b.Leases[0].State)
}

func TestAColdBookOpensWhenEverybodyWasHeard(t *testing.T) {
	t.Parallel()
	cold := func() *Book {
		b := NewCold(startOfTime)
		require.NoError(t, b.Configure([]Config{{Name: "a", Limit: 1}}))
		b.Acquire(ask(2, 0), startOfTime)
		return b
	}
	b := cold()
	held := ask(1, 0)
	held.Held = &Announced{Hub: "a", Attempt: model.AttemptID{Millis: startOfTime.Add(time.Hour).UnixMilli()}}
	b.Expect([]Holder{{Name: "scan/1", Chain: "c1"}, {Name: "scan/2", Chain: "c2"}, {Name: "scan/3", Chain: "c3"}})
	require.False(t, b.WarmUp(startOfTime))
	b.Acquire(held, startOfTime)
	b.HubAsked("a")
	require.False(t, b.WarmUp(startOfTime))
	require.Empty(t, b.GrantNext(startOfTime, 1))
	b.HolderClosed("c3", startOfTime)
	require.True(t, b.WarmUp(startOfTime))
	require.Empty(t, b.GrantNext(startOfTime, 1), "the announced lease uses the only unit")
	b.Release(Returned{Chain: "c1", Attempt: held.Held.Attempt}, startOfTime)
	require.Equal(t, []string{"c2 a"}, granted(b, startOfTime))
	require.True(t, held.Held.Attempt.Less(b.Leases[0].Attempt), "attempts grow over what was announced")

	b = cold()
	require.Equal(t, startOfTime.Add(ColdFor), b.NextWake())
	require.False(t, b.WarmUp(startOfTime.Add(ColdFor-1)))
	require.True(t, b.WarmUp(startOfTime.Add(ColdFor)))
}

// TestWordOfAClosedHolderDrains: the one that reports it knows neither the attempt nor whether the hub is done.
func TestWordOfAClosedHolderDrains(t *testing.T) {
	t.Parallel()
	b, now := newBook(t, Config{Name: "a", Limit: 1}), startOfTime
	b.Acquire(ask(1, 0), now)
	b.Acquire(ask(2, 0), now)
	require.Equal(t, []string{"c1 a"}, granted(b, now))
	b.Release(Returned{Chain: "c1", Holder: "scan/1", Digest: digest(1), Unfinished: true}, now)
	require.Equal(t, Draining, b.Lease("c1").State)
	b.Release(Returned{Chain: "c2", Holder: "scan/2", Digest: digest(2), Unfinished: true}, now)
	require.Nil(t, b.Waiter("c2"), "a closed holder waits for nothing")
	require.Empty(t, granted(b, now), "the hub may be at it still")
}
