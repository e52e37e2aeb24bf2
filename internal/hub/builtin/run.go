package builtin

import (
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// retryWait is the pause after a write to the file that did not work, such as on a full disk.
const retryWait = time.Second

// start lets an accepted scan run to its end.
func (h *Hub) start(s scan) { h.goOn(func() { h.run(s) }) }

func (h *Hub) run(s scan) {
	if !h.wait(s.DueAt.Sub(h.options.Clock.Now())) || s.Stuck && !h.unstick() {
		return
	}
	select {
	case h.judgers <- struct{}{}:
		defer func() { <-h.judgers }()
	case <-h.context.Done():
		return
	}
	for {
		err := h.finish(s)
		if err == nil {
			return
		}
		h.log.Error("scan not finished, trying again", "scan", s.ID, "error", err)
		if !h.wait(retryWait) {
			return
		}
	}
}

// wait passes the time and tells whether the hub is still to work.
func (h *Hub) wait(d time.Duration) bool {
	if d > 0 {
		select {
		case <-h.options.Clock.After(d):
		case <-h.context.Done():
		}
	}
	return h.context.Err() == nil
}

// finish judges what a scan found and ends it. The components are assessed once before, so that the transaction that
// writes finds the assessments in memory and holds up nobody.
func (h *Hub) finish(s scan) error {
	if s.Lost {
		return h.db.Update(func(tx *bbolt.Tx) error { return h.lose(tx, s.ID) })
	}
	err := h.db.View(func(tx *bbolt.Tx) error {
		found, _, err := read[[]component](tx, scanContentsBucket, s.ID)
		if err != nil {
			return err
		}
		return h.warm(tx, found)
	})
	if err == nil {
		err = h.db.Update(func(tx *bbolt.Tx) error { return h.succeed(tx, s.ID) })
	}
	var unusable *dataError
	if !errors.As(err, &unusable) {
		return err
	}
	return h.db.Update(func(tx *bbolt.Tx) error {
		s, running, err := runningScan(tx, s.ID)
		if err != nil || !running {
			return err
		}
		return h.endScan(tx, s, scanFailure, "ERROR_MATCHING", unusable.Error())
	})
}

// runningScan reads a scan and tells whether it is still to be finished; it may have been cancelled meanwhile.
func runningScan(tx *bbolt.Tx, id string) (scan, bool, error) {
	s, ok, err := read[scan](tx, scanBucket, id)
	return s, ok && s.State == scanStarted, err
}

func (h *Hub) succeed(tx *bbolt.Tx, id string) error {
	s, running, err := runningScan(tx, id)
	if err != nil || !running {
		return err
	}
	l, err := findLocation(tx, s.CodeLocation)
	if err != nil {
		return err
	}
	if l.Contents < s.Seq { // a newer scan of the same name may have finished first: it stands
		found := tx.Bucket([]byte(scanContentsBucket)).Get([]byte(s.ID))
		if err := writeRaw(tx, contentsBucket, l.ID, append([]byte(nil), found...)); err != nil {
			return err
		}
		l.Contents, l.Size, l.UpdatedAt = s.Seq, s.Size, h.now()
		if err := write(tx, locationBucket, l.ID, l); err != nil {
			return err
		}
	}
	if err := h.endScan(tx, s, scanSuccess, "COMPLETE", ""); err != nil {
		return err
	}
	if err := h.noteScan(tx, l.Version); err != nil {
		return err
	}
	if err := h.rejudge(tx, s.Left, l.Version); err != nil {
		return fmt.Errorf("judge scan %s: %w", s.ID, err)
	}
	if err := h.notifyComputed(tx, s, l); err != nil {
		return err
	}
	return dropScans(tx, l.ID, keepScans)
}

// noteScan keeps when a version was last scanned.
func (h *Hub) noteScan(tx *bbolt.Tx, versionID string) error {
	v, ok, err := read[version](tx, versionBucket, versionID)
	if err != nil || !ok {
		return err
	}
	v.LastScan = h.now()
	return write(tx, versionBucket, v.ID, v)
}
