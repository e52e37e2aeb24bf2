package jobs_test

import (
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/jobs"
	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
	"github.com/perceptor/perceptor/internal/hub/builtin/store"
)

type systemClock struct{}

func (systemClock) Now() time.Time                         { return time.Now() }
func (systemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

// bench is a store with its work, in which nothing runs but what a test starts.
type bench struct {
	*jobs.Jobs
	t testing.TB
}

func newBench(t testing.TB) *bench {
	t.Helper()
	file, err := store.Open(filepath.Join(t.TempDir(), "hub.db"))
	require.NoError(t, err)
	b := &bench{t: t, Jobs: jobs.New(jobs.Options{Store: file, Policy: judge.DefaultPolicy(), Clock: systemClock{}, Log: slog.New(slog.DiscardHandler)})}
	t.Cleanup(func() {
		b.Wait()
		require.NoError(t, file.Close())
	})
	return b
}

func lines(texts ...string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, text := range texts {
			if !yield([]byte(text), nil) {
				return
			}
		}
	}
}

const modified = "2026-01-01T00:00:00Z"

// record is about packages, each as ecosystem and name.
func record(id string, packages ...[2]string) string {
	affected := ""
	for i, p := range packages {
		if i > 0 {
			affected += ","
		}
		affected += fmt.Sprintf(`{"package":{"ecosystem":%q,"name":%q},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"2"}]}]}`, p[0], p[1])
	}
	return fmt.Sprintf(`{"schema_version":"1.7.0","id":%q,"modified":%q,"affected":[%s]}`, id, modified, affected)
}

func (b *bench) load(o jobs.LoadOptions, texts ...string) jobs.LoadReport {
	b.t.Helper()
	report, err := b.Updates.Load(b.t.Context(), lines(texts...), o)
	require.NoError(b.t, err)
	return report
}

func (b *bench) held() map[string]store.Ecosystem {
	b.t.Helper()
	var g store.Generation
	require.NoError(b.t, b.Store.View(func(tx *store.Tx) (err error) {
		g, err = tx.Data().Current()
		return err
	}))
	return g.Ecosystems
}

var (
	npm    = [2]string{"npm", "a"}
	debian = [2]string{"Debian:12", "openssl"}
)

// TestAnUpdateReplacesOnlyItsEcosystems, and one that carries them replaces them.
func TestAnUpdateReplacesOnlyItsEcosystems(t *testing.T) {
	b := newBench(t)
	b.load(jobs.LoadOptions{Complete: true}, record("D-1", debian), record("N-1", npm))
	b.load(jobs.LoadOptions{}, record("N-2", npm), record("N-3", npm))
	held := b.held()
	require.Equal(t, 1, held["Debian"].Records)
	require.True(t, held["Debian"].Complete)
	require.Equal(t, map[string]int{"Debian:12": 1}, held["Debian"].Releases)
	require.Equal(t, 2, held["npm"].Records)
	require.False(t, held["npm"].Complete, "loose records are not all there is")
	b.load(jobs.LoadOptions{}, record("D-2", debian))
	require.False(t, b.held()["Debian"].Complete)
}

// TestOnlyWholeArchivesAreComplete: an archive says so, single files do not, and --complete says it for all.
func TestOnlyWholeArchivesAreComplete(t *testing.T) {
	b := newBench(t)
	both := record("N-1", npm, debian)
	report := b.load(jobs.LoadOptions{}, string(jobs.ArchiveLine("npm")), both, string(jobs.ArchiveLine("")), record("P-1", [2]string{"PyPI", "p"}))
	require.Equal(t, []string{"PyPI", "npm"}, report.Ecosystems)
	require.Equal(t, []string{"npm"}, report.Complete)
	require.NotContains(t, b.held(), "Debian", "npm's archive carries npm, whatever else its records name")
	require.Equal(t, []string{"Debian", "npm"}, b.load(jobs.LoadOptions{Complete: true}, both).Complete)
	require.Contains(t, b.held(), "PyPI")
}

// TestAsOf is what the caller says, else the newest record, and never in the future.
func TestAsOf(t *testing.T) {
	b := newBench(t)
	b.load(jobs.LoadOptions{Complete: true}, record("N-1", npm))
	require.Equal(t, modified, b.held()["npm"].AsOf.Format(time.RFC3339))
	said := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	b.load(jobs.LoadOptions{Complete: true, AsOf: said}, record("N-1", npm))
	require.Equal(t, said, b.held()["npm"].AsOf)
	b.load(jobs.LoadOptions{Mode: jobs.Merge}, record("N-2", npm))
	require.Equal(t, said, b.held()["npm"].AsOf, "merged records leave the age of complete data as it was")
	require.True(t, b.held()["npm"].Complete)
	b.load(jobs.LoadOptions{Complete: true, AsOf: time.Now().Add(time.Hour)}, record("N-1", npm))
	require.False(t, b.held()["npm"].AsOf.After(time.Now()))
}

// TestSampleGivesWay: the sample is used only where there is nothing else, and never merged with it.
func TestSampleGivesWay(t *testing.T) {
	b := newBench(t)
	sample := jobs.LoadOptions{Sample: true, Complete: true, Source: "sample"}
	b.load(sample, record("N-1", npm), record("D-1", debian))
	require.True(t, b.held()["npm"].Sample)
	require.False(t, b.held()["npm"].Complete, "a sample is never all there is")
	b.load(jobs.LoadOptions{Mode: jobs.Merge, Complete: true}, record("N-2", npm))
	require.False(t, b.held()["npm"].Sample)
	require.Equal(t, 1, b.held()["npm"].Records)
	b.load(sample, record("N-1", npm), record("D-1", debian))
	require.False(t, b.held()["npm"].Sample)
	require.True(t, b.held()["Debian"].Sample)
}
