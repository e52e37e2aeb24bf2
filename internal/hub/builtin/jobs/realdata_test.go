package jobs_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/jobs"
	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
)

// TestRealRecords loads the records of the directory in OSV_DIR. Every ecosystem in it is there afterwards, and loading the
// same again in mode merge keeps nothing.
func TestRealRecords(t *testing.T) {
	dir := os.Getenv("OSV_DIR")
	if dir == "" {
		t.Skip("needs real records: set OSV_DIR to a directory of OSV's records")
	}
	b := newBench(t)
	load := func(mode jobs.LoadMode) jobs.LoadReport {
		source := func(yield func([]byte, error) bool) {
			s, err := osv.Open(t.Context(), dir, osv.Options{
				Archive: func(ecosystem string) error {
					if !yield(jobs.ArchiveLine(ecosystem), nil) {
						return os.ErrClosed
					}
					return nil
				},
			})
			if err == nil {
				_, err = s.Texts(t.Context(), func(_ string, raw []byte) error {
					if !yield(raw, nil) {
						return os.ErrClosed
					}
					return nil
				})
			}
			if err != nil {
				yield(nil, err)
			}
		}
		start := time.Now()
		report, err := b.Updates.Load(t.Context(), source, jobs.LoadOptions{Mode: mode})
		require.NoError(t, err)
		t.Logf("%s: %d records, %d malformed, %d odd, %d kept, in %s: %v, complete %v",
			mode, report.Records, report.Malformed, report.Odd, report.Kept, time.Since(start).Round(time.Millisecond), report.Ecosystems, report.Complete)
		return report
	}
	report := load(jobs.Replace)
	require.NotEmpty(t, report.Ecosystems)
	for _, name := range report.Ecosystems {
		require.NotZero(t, b.held()[name].Records, name)
		require.False(t, b.held()[name].AsOf.After(time.Now()), name)
		require.Positive(t, b.held()[name].AsOf.Unix(), "%s: records without a time of change have one of publication", name)
	}
	t.Logf("at most %.0f MiB in use", peakMiB(t))
	again := load(jobs.Merge)
	require.Equal(t, report.Records, again.Records)
	require.Zero(t, again.Kept)
}
