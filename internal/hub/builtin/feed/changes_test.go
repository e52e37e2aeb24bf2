package feed_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/feed"
)

func TestChangesInAnyOrder(t *testing.T) {
	got, err := feed.ParseChanges([]byte("2024-01-02T00:00:00Z,A-1\r\n\n2025-01-02T03:04:05.678Z,npm/A-2\n2026-01-01T01:00:00+01:00,A-1\n2020-01-01T00:00:00Z,A-1"))
	require.NoError(t, err)
	require.Equal(t, map[string]time.Time{
		"A-1": time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), "A-2": time.Date(2025, 1, 2, 3, 4, 5, 678_000_000, time.UTC),
	}, got)
}

func TestChangesThatCannotBeTrusted(t *testing.T) {
	const good = "2024-01-02T00:00:00Z,A-1\n"
	for name, text := range map[string]string{
		"nothing": "", "a page": "<html>\n", "no id": good + "2024-01-02T00:00:00Z,\n", "no time": good + "yesterday,A-2\n",
		"a way out": good + "2024-01-02T00:00:00Z,..\n", "a query": good + "2024-01-02T00:00:00Z,A?x\n", "escaped": good + "2024-01-02T00:00:00Z,%2e%2e%2fA\n",
		"long id": good + "2024-01-02T00:00:00Z," + strings.Repeat("A", 200) + "\n", "long line": good + strings.Repeat("A", 100_000),
		"a third part": good + "2024-01-02T00:00:00Z,A,B\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := feed.ParseChanges([]byte(text))
			var typed *feed.Error
			require.ErrorAs(t, err, &typed)
			require.Contains(t, err.Error(), "list of changes")
		})
	}
	_, err := feed.ParseChanges([]byte(good))
	require.NoError(t, err, "the twin of all of them")
}

func FuzzParseChanges(f *testing.F) {
	for _, text := range []string{"", "2024-01-02T00:00:00Z,A-1\n", "2024-01-02T00:00:00Z,npm/A-1", ",,,\n", "\x00"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := feed.ParseChanges(text)
		if (err == nil) != (len(got) > 0) {
			t.Fatalf("%d changes with error %v", len(got), err)
		}
		for id := range got {
			if strings.ContainsAny(id, "/\\?#% \n") || strings.Trim(id, ".") == "" {
				t.Fatalf("%q would lead out of its folder", id)
			}
		}
	})
}

func TestCompare(t *testing.T) {
	at := func(second int) time.Time { return time.Date(2026, 1, 1, 0, 0, second, 0, time.UTC) }
	d, err := feed.Compare(map[string]time.Time{"same": at(1).Add(400 * time.Millisecond), "newer": at(2), "older": at(1), "new": at(1)},
		map[string]time.Time{"same": at(1), "newer": at(1), "older": at(5), "gone": at(1)})
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"newer", "new"}, d.Changed)
	require.Equal(t, []string{"gone"}, d.Gone)

	many := map[string]time.Time{}
	for i := range 2000 {
		many[fmt.Sprint(i)] = at(1)
	}
	_, err = feed.Compare(many, nil)
	require.ErrorIs(t, err, feed.ErrTooDifferent, "the archive is faster")
	_, err = feed.Compare(map[string]time.Time{"1": at(1)}, many)
	require.ErrorIs(t, err, feed.ErrTooDifferent, "a list that lost nearly everything is not believed")
	d, err = feed.Compare(many, many)
	require.NoError(t, err)
	require.Empty(t, d)
}
