package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
	"github.com/perceptor/perceptor/internal/hub/builtin/store"
	"github.com/perceptor/perceptor/model"
)

const (
	// parallelJudging is how many scans are matched at the same time: matching is work for the processor.
	parallelJudging = 2
	// retryWait is the pause after a write to the file that did not work, such as on a full disk.
	retryWait = time.Second
	// keepScans is how many finished scans of one code location stay readable.
	keepScans = 20
)

// Scans takes uploads and runs the scans that come of them.
type Scans struct {
	*core
	judging *Judging
	catalog *Catalog
	// slots bounds how many scans are matched at once.
	slots chan struct{}
}

// Upload is what a sender wants scanned.
type Upload struct {
	Project, Version string
	// ScanName is the code location. Named says that the sender gave it, and did not leave it to the document.
	ScanName string
	Named    bool
	Attempt  model.AttemptID
	Contents judge.Contents
	// Size is that of the document in bytes.
	Size int64
}

// Announce records the newest attempt seen of a scan name. It refuses an older one, and answers the scan of a repeated one.
func (s *Scans) Announce(scanName string, attempt model.AttemptID) (repeated string, err error) {
	if attempt.IsZero() {
		return "", nil
	}
	err = s.Store.Update(func(tx *store.Tx) error {
		repeated, err = checkAttempt(tx, scanName, attempt)
		if err != nil || repeated != "" {
			return err
		}
		return tx.Scans().PutAttempt(scanName, store.Attempt{Attempt: attempt})
	})
	return repeated, err
}

func checkAttempt(tx *store.Tx, scanName string, attempt model.AttemptID) (repeated string, err error) {
	newest, err := tx.Scans().Attempt(scanName)
	if err != nil {
		return "", err
	}
	if attempt.Less(newest.Attempt) {
		return "", refuse(Conflict, "attempt", "attempt %s of scan %.80q is older than %s, which was seen already: it is not scanned", attempt, scanName, newest.Attempt)
	}
	if attempt != newest.Attempt || newest.Scan == "" {
		return "", nil
	}
	if _, ok, err := tx.Scans().Get(newest.Scan); err != nil || ok {
		return newest.Scan, err
	}
	return "", refuse(Conflict, "attempt", "attempt %s of scan %.80q was scanned and deleted: upload with a new attempt", attempt, scanName)
}

// Accept makes an upload a scan in one transaction, and starts it. Ctx is the sender's: an upload whose sender is gone is
// no scan. When another request of the same attempt was accepted before, its scan is answered and nothing starts.
func (s *Scans) Accept(ctx context.Context, u Upload) (scanID string, err error) {
	var made store.Scan
	err = s.Store.Update(func(tx *store.Tx) error {
		if s.context.Err() != nil {
			return &Refusal{Kind: Stopping, Code: "stopping", RetryAfter: "1", Message: "the hub is stopping: upload again when it is back"}
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("upload of scan %.80q: %w: %w", u.ScanName, ErrGone, err)
		}
		if !u.Attempt.IsZero() {
			repeated, err := checkAttempt(tx, u.ScanName, u.Attempt)
			if err != nil || repeated != "" {
				made = store.Scan{ID: repeated}
				return err
			}
		}
		err := s.Rehearsal.Admit(tx.Counters().Get(store.InProgress))
		if err == nil {
			made, err = s.newScan(tx, u)
		}
		return err
	})
	if err == nil && made.State == store.ScanStarted {
		s.start(made)
	}
	return made.ID, err
}

func (s *Scans) newScan(tx *store.Tx, u Upload) (store.Scan, error) {
	l, left, err := s.placeScan(tx, u)
	if err != nil {
		return store.Scan{}, err
	}
	seq, err := tx.Scans().NextSequence()
	if err != nil {
		return store.Scan{}, err
	}
	now, plan := s.Now(), s.Rehearsal.Plan(l.Name)
	made := store.Scan{
		ID: uuid.NewString(), Seq: seq, Name: l.Name, CodeLocation: l.ID, Version: l.Version, Attempt: u.Attempt, State: store.ScanStarted,
		AcceptedAt: now, UpdatedAt: now, DueAt: now.Add(plan.Work), Size: u.Size, Components: len(u.Contents.Components), Left: left,
		Lost: plan.Lost, Stuck: plan.Stuck,
	}
	if err := tx.Scans().Add(made, u.Contents); err != nil {
		return made, err
	}
	if u.Attempt.IsZero() {
		return made, nil
	}
	return made, tx.Scans().PutAttempt(u.ScanName, store.Attempt{Attempt: u.Attempt, Scan: made.ID})
}

// placeScan finds or makes project, version and code location, and maps the last to the version. A sender that named the
// code location moves it by that; without a name, one that is mapped elsewhere is refused, as the real hub does.
func (s *Scans) placeScan(tx *store.Tx, u Upload) (l store.CodeLocation, left string, err error) {
	p, _, err := s.catalog.ensureProject(tx, u.Project)
	if err != nil {
		return l, "", err
	}
	v, err := s.catalog.ensureVersion(tx, p, u.Version)
	if err != nil {
		return l, "", err
	}
	if l, err = s.catalog.ensureLocation(tx, u.ScanName); err != nil {
		return l, "", err
	}
	if l.Version == v.ID {
		return l, "", nil
	}
	if left = l.Version; left != "" && !u.Named {
		return l, "", refuse(Conflict, "mapped", "code location %.80q is mapped to another project version: unmap it first", l.Name)
	}
	return l, left, s.catalog.setMapping(tx, &l, v.ID)
}

// start lets an accepted scan run to its end.
func (s *Scans) start(scan store.Scan) { s.goOn(func() { s.run(scan) }) }

func (s *Scans) run(scan store.Scan) {
	if !s.wait(scan.DueAt.Sub(s.Clock.Now())) || scan.Stuck && !s.unstick() {
		return
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-s.context.Done():
		return
	}
	for {
		err := s.finish(scan)
		if err == nil {
			return
		}
		s.Log.Error("scan could not be finished, trying again", "scan", scan.ID, "error", err)
		if !s.wait(retryWait) {
			return
		}
	}
}

// unstick passes the time that a stuck scan stays so, and reports whether the hub is still to work.
func (s *Scans) unstick() bool {
	for {
		left, changed := s.Rehearsal.Held()
		var end <-chan time.Time
		switch {
		case left == 0:
			return s.context.Err() == nil
		case left > 0:
			end = s.Clock.After(left)
		}
		select {
		case <-end:
		case <-changed:
		case <-s.context.Done():
			return false
		}
	}
}

// finish judges what a scan found and ends it. The components are assessed once before, so that the transaction that
// writes finds the assessments in memory and is short.
func (s *Scans) finish(scan store.Scan) error {
	if scan.Lost {
		return s.Store.Update(func(tx *store.Tx) error { return s.lose(tx, scan.ID) })
	}
	err := s.Store.View(func(tx *store.Tx) error {
		found, err := tx.Scans().Contents(scan.ID)
		if err != nil {
			return err
		}
		return s.verdicts.warm(tx, found)
	})
	if err == nil {
		err = s.Store.Update(func(tx *store.Tx) error { return s.succeed(tx, scan.ID) })
	}
	if !unusable(err) {
		return err
	}
	why := err.Error()
	return s.Store.Update(func(tx *store.Tx) error {
		running, still, err := tx.Scans().Running(scan.ID)
		if err != nil || !still {
			return err
		}
		return s.endScan(tx, running, store.ScanFailure, "ERROR_MATCHING", why)
	})
}

func (s *Scans) succeed(tx *store.Tx, id string) error {
	scan, running, err := tx.Scans().Running(id)
	if err != nil || !running {
		return err
	}
	l, err := tx.CodeLocations().Find(scan.CodeLocation)
	if err != nil {
		return err
	}
	if l.Contents < scan.Seq { // a newer scan of the same name may have finished first: it stands
		if err := tx.CodeLocations().Fill(l, scan); err != nil {
			return err
		}
		l.Contents, l.Size, l.UpdatedAt = scan.Seq, scan.Size, s.Now()
		if err := tx.CodeLocations().Put(l); err != nil {
			return err
		}
	}
	if err := s.endScan(tx, scan, store.ScanSuccess, "COMPLETE", ""); err != nil {
		return err
	}
	if err := s.noteScan(tx, l.Version); err != nil {
		return err
	}
	if err := s.judging.again(tx, scan.Left, l.Version); err != nil {
		return fmt.Errorf("judge scan %s: %w", scan.ID, err)
	}
	if err := s.notifyComputed(tx, scan, l); err != nil {
		return err
	}
	return dropScans(tx, l.ID, keepScans)
}

// noteScan keeps when a version was last scanned.
func (s *Scans) noteScan(tx *store.Tx, versionID string) error {
	v, ok, err := tx.Versions().Get(versionID)
	if err != nil || !ok {
		return err
	}
	v.LastScan = s.Now()
	return tx.Versions().Put(v)
}

// lose deletes a running scan as if it had never been, and its code location when no other scan is left in it.
func (s *Scans) lose(tx *store.Tx, id string) error {
	scan, running, err := tx.Scans().Running(id)
	if err != nil || !running {
		return err
	}
	if err := s.endScan(tx, scan, store.ScanFailure, "LOST", "a rehearsal lost it"); err != nil {
		return err
	}
	if err := tx.Counters().Add(store.ScansLost, 1); err != nil {
		return err
	}
	if err := tx.Scans().Delete(scan); err != nil {
		return err
	}
	left, err := tx.Scans().Of(scan.CodeLocation)
	if err != nil || len(left) > 0 {
		return err
	}
	l, err := tx.CodeLocations().Find(scan.CodeLocation)
	if err != nil {
		return err
	}
	return s.catalog.dropLocation(tx, l)
}
