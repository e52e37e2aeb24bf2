package store_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/internal/hub/builtin/store"
	"github.com/perceptor/perceptor/model"
)

// TestSortingThroughFiles gives the same sets as sorting in memory: of two records with one id the later one counts. A record
// that is taken out leaves nothing.
func TestSortingThroughFiles(t *testing.T) {
	for name, most := range map[string]int{"in memory": 1 << 30, "through files": 2000} {
		t.Run(name, func(t *testing.T) {
			dir, s := t.TempDir(), open(t)
			sorter := store.NewSorter(dir, most)
			for i := range 300 {
				id := i * 7 % 100
				record := osv.Record{
					ID: fmt.Sprintf("A-%02d", id), Severity: model.SeverityHigh, Score: float64(i / 100), Modified: time.Unix(int64(i), 0),
					Affected: []osv.Affected{{Key: osv.Key{Ecosystem: "npm", Package: "p"}, Versions: []string{fmt.Sprint(i)}}},
				}
				entries, err := store.EntriesOf("npm", record, time.Time{})
				require.NoError(t, err)
				require.NoError(t, sorter.Add(entries...))
			}
			set := store.Set{Number: 1, Ecosystem: "npm"}
			g := store.Generation{Number: 1, Ecosystems: map[string]store.Ecosystem{"npm": {Number: 1}}}
			require.NoError(t, s.Update(func(tx *store.Tx) error {
				require.NoError(t, tx.Data().Make(set))
				for entry, err := range sorter.Sorted() {
					require.NoError(t, err)
					require.NoError(t, tx.Data().Write(1, []store.Entry{entry}))
				}
				records, err := tx.Data().Records(g, osv.Key{Ecosystem: "npm", Package: "p"})
				require.NoError(t, err)
				require.Len(t, records, 100)
				for _, r := range records {
					require.GreaterOrEqual(t, r.Modified.Unix(), int64(200), "the last of three with one id")
				}
				known, err := tx.Data().Known(set)
				require.NoError(t, err)
				require.Len(t, known, 100)
				for id := range known {
					require.NoError(t, tx.Data().Remove(set, id))
				}
				count, releases, err := tx.Data().Count(set)
				require.NoError(t, err)
				require.Zero(t, count)
				require.Empty(t, releases)
				severity, _, err := tx.Data().Severity(g, "A-01")
				require.NoError(t, err)
				require.Empty(t, severity)
				return nil
			}))
			require.NoError(t, sorter.Close())
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}
