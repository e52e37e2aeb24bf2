package feed_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/feed"
	"github.com/perceptor/perceptor/internal/hub/builtin/fetch"
	"github.com/perceptor/perceptor/model"
)

var now = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

const interval = 6 * time.Hour

// TestWhatToFetchNext decides from a book, the needs and what is held, and from nothing else.
func TestWhatToFetchNext(t *testing.T) {
	complete := func(set uint64, age time.Duration) feed.Held {
		return feed.Held{Set: set, Complete: true, AsOf: now.Add(-age)}
	}
	checked := func(set uint64, age time.Duration) feed.State { return feed.State{Set: set, Checked: now.Add(-age)} }
	trouble := feed.Trouble{Failures: 1, Next: now.Add(time.Minute)}
	type needs = map[string]feed.Need
	type held = map[string]feed.Held
	type states = map[string]feed.State
	for name, row := range map[string]struct {
		needs  needs
		held   held
		states states
		source feed.Trouble
		want   feed.Step
	}{
		"nothing is needed":        {held: held{"npm": complete(1, 90*interval)}},
		"the most images first":    {needs: needs{"npm": {Images: 1, Components: 900}, "Go": {Images: 2, Components: 1}}, want: feed.Step{Ecosystem: "Go", Whole: true, At: now}},
		"then the most components": {needs: needs{"npm": {Images: 1, Components: 9}, "Go": {Images: 1, Components: 1}}, want: feed.Step{Ecosystem: "npm", Whole: true, At: now}},
		"missing goes before old": {
			needs: needs{"npm": {Images: 1}, "Go": {Images: 9}}, held: held{"Go": complete(1, 90*interval)},
			want: feed.Step{Ecosystem: "npm", Whole: true, At: now},
		},
		"a part is not all": {needs: needs{"npm": {Images: 1}}, held: held{"npm": {Set: 1, AsOf: now}}, want: feed.Step{Ecosystem: "npm", Whole: true, At: now}},
		"checked lately": {
			needs: needs{"npm": {Images: 1}}, held: held{"npm": complete(1, time.Hour)}, states: states{"npm": checked(1, time.Hour)},
			want: feed.Step{At: now.Add(interval - time.Hour)},
		},
		"checked long ago": {
			needs: needs{"npm": {Images: 1}}, held: held{"npm": complete(1, 7*time.Hour)}, states: states{"npm": checked(1, 7*time.Hour)},
			want: feed.Step{Ecosystem: "npm", At: now},
		},
		"the longest ago first": {
			needs: needs{"npm": {Images: 9}, "Go": {Images: 1}}, held: held{"npm": complete(1, 7*time.Hour), "Go": complete(2, 8*time.Hour)},
			states: states{"npm": checked(1, 7*time.Hour), "Go": checked(2, 8*time.Hour)}, want: feed.Step{Ecosystem: "Go", At: now},
		},
		"an operator's data stay": {
			needs: needs{"npm": {Images: 1}}, held: held{"npm": complete(2, time.Hour)}, states: states{"npm": checked(1, 7*time.Hour)},
			want: feed.Step{At: now.Add(interval - time.Hour)},
		},
		"until they are old": {
			needs: needs{"npm": {Images: 1}}, held: held{"npm": complete(2, 7*time.Hour)}, states: states{"npm": checked(1, time.Hour)},
			want: feed.Step{Ecosystem: "npm", Whole: true, At: now},
		},
		"not before its time": {needs: needs{"npm": {Images: 1}}, states: states{"npm": {Trouble: trouble}}, want: feed.Step{At: now.Add(time.Minute)}},
		"the others go on": {needs: needs{"npm": {Images: 9}, "Go": {Images: 1}}, states: states{"npm": {Trouble: trouble}}, want: feed.Step{
			Ecosystem: "Go",
			Whole:     true, At: now,
		}},
		"no source holds up everything": {needs: needs{"npm": {Images: 9}, "Go": {Images: 1}}, source: trouble, want: feed.Step{At: now.Add(time.Minute)}},
	} {
		t.Run(name, func(t *testing.T) {
			b := feed.Book{Base: "x", Source: row.source, Ecosystems: row.states}
			require.Equal(t, row.want, b.Next(now, interval, row.needs, row.held))
		})
	}
}

func TestTroubles(t *testing.T) {
	b := feed.Book{}.For("x")
	require.True(t, b.Loading("npm", feed.Held{}))
	require.False(t, b.Loading("npm", feed.Held{Complete: true}), "what is complete is there")
	b.Fail("npm", &fetch.Error{Class: model.Throttled, Retry: 90 * time.Minute}, now)
	require.Equal(t, now.Add(90*time.Minute), b.Source.Next, "the server asked for more than our own delay")
	require.Equal(t, []string{"", "npm"}, b.Troubles())
	require.False(t, b.Loading("Go", feed.Held{}), "nothing comes from a source that cannot be reached")
	b.Fail("npm", &fetch.Error{Class: model.Throttled, Retry: 1000 * time.Hour}, now)
	require.Equal(t, now.Add(24*time.Hour), b.Source.Next, "no server stops us for longer than a day")

	b = feed.Book{}.For("x")
	b.Fail("npm", &fetch.Error{Class: model.Transient, Problem: "no route"}, now)
	b.Fail("npm", &fetch.Error{Class: model.Transient, Problem: "no route"}, now)
	require.Equal(t, now.Add(2*time.Minute), b.Source.Next)
	b.Fail("Go", errors.New("damaged"), now)
	require.Equal(t, []string{"Go", "npm"}, b.Troubles(), "the source answers; what it says of Go is wrong")
	b.Succeed("npm", feed.State{Set: 3}, now)
	require.Equal(t, []string{"Go"}, b.Troubles())
	require.Equal(t, now, b.Ecosystems["npm"].Checked)
	require.Equal(t, feed.Book{Base: "y", Ecosystems: map[string]feed.State{}}, b.For("y"), "another address knows nothing")
	require.Equal(t, b, b.For("x"))
}
