package store_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
	"github.com/perceptor/perceptor/internal/hub/builtin/store"
)

func open(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "hub.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// TestAnErrorChangesNothing: a transaction is written whole or not at all.
func TestAnErrorChangesNothing(t *testing.T) {
	s, broken := open(t), errors.New("broken")
	add := func(tx *store.Tx) error { return tx.Projects().Add(store.Project{ID: "1", Name: "p"}) }
	require.ErrorIs(t, s.Update(func(tx *store.Tx) error { return errors.Join(add(tx), broken) }), broken)
	exists := func() (there bool) {
		require.NoError(t, s.View(func(tx *store.Tx) (err error) {
			_, there, err = tx.Projects().FindByName("p")
			return err
		}))
		return there
	}
	require.False(t, exists())
	require.NoError(t, s.Update(add))
	require.True(t, exists())
}

// TestMissingObjects: what is not there is a NotFoundError, and nothing else is.
func TestMissingObjects(t *testing.T) {
	s := open(t)
	require.NoError(t, s.Update(func(tx *store.Tx) error { return tx.Versions().Add(store.Version{ID: "v", Project: "p", Name: "1"}) }))
	require.NoError(t, s.View(func(tx *store.Tx) error {
		var missing *store.NotFoundError
		_, err := tx.Versions().Find("p", "w")
		require.ErrorAs(t, err, &missing)
		_, err = tx.Versions().Find("another project", "v")
		require.ErrorAs(t, err, &missing)
		_, err = tx.CodeLocations().Find("l")
		require.ErrorAs(t, err, &missing)
		_, err = tx.Versions().Find("p", "v")
		require.NoError(t, err)
		return nil
	}))
}

// TestScansAndTheirCounters: the counters follow every scan, and no scan ends that did not begin.
func TestScansAndTheirCounters(t *testing.T) {
	s := open(t)
	scan := store.Scan{ID: "s", Seq: 1, Name: "name", CodeLocation: "l", State: store.ScanStarted}
	require.NoError(t, s.Update(func(tx *store.Tx) error {
		return tx.Scans().Add(scan, judge.Contents{Components: []judge.Component{{Name: "a"}}})
	}))
	require.NoError(t, s.Update(func(tx *store.Tx) error {
		require.Equal(t, []uint64{1, 1, 1}, []uint64{tx.Counters().Get(store.InProgress), tx.Counters().Get(store.MaxInProgress), tx.Counters().Get(store.UploadsAccepted)})
		found, err := tx.Scans().Contents("s")
		require.NoError(t, err)
		require.Len(t, found.Components, 1)
		scan.State = store.ScanSuccess
		return tx.Scans().End(scan)
	}))
	require.NoError(t, s.View(func(tx *store.Tx) error {
		require.Equal(t, []uint64{0, 1, 1}, []uint64{tx.Counters().Get(store.InProgress), tx.Counters().Get(store.MaxInProgress), tx.Counters().Get(store.ScansSucceeded)})
		return nil
	}))
	require.ErrorContains(t, s.Update(func(tx *store.Tx) error { return tx.Scans().End(scan) }), "counts none in progress")
}

// TestNotificationsByTime: both ends of a span belong to it, newest first.
func TestNotificationsByTime(t *testing.T) {
	s, at := open(t), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	require.NoError(t, s.Update(func(tx *store.Tx) error {
		for i := range 4 {
			if err := tx.Notifications().Add(store.Notification{Type: store.TypeProject, Project: string(rune('a' + i)), At: at.Add(time.Duration(i) * time.Second)}); err != nil {
				return err
			}
		}
		return nil
	}))
	seen := ""
	require.NoError(t, s.View(func(tx *store.Tx) error {
		return tx.Notifications().Walk(at.Add(time.Second), at.Add(2*time.Second), func(_ store.NotificationType, decode func() (store.Notification, error)) error {
			n, err := decode()
			seen += n.Project
			return err
		})
	}))
	require.Equal(t, "cb", seen)
	require.NoError(t, s.Update(func(tx *store.Tx) error { return tx.Notifications().DeleteBefore(at.Add(2*time.Second), 10) }))
	require.NoError(t, s.View(func(tx *store.Tx) error {
		require.False(t, tx.Notifications().AnyBefore(at.Add(2*time.Second)))
		require.True(t, tx.Notifications().AnyBefore(at.Add(3*time.Second)))
		return nil
	}))
}
