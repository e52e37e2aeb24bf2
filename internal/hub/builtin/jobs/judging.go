package jobs

import (
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
	"github.com/perceptor/perceptor/internal/hub/builtin/store"
	"github.com/perceptor/perceptor/model"
)

// judgeBatch is how many versions are judged in one transaction, between which uploads get their turn.
const judgeBatch = 20

// Judging keeps the verdicts of versions up to date: after scans and edits at once, after a change of data or rules in the
// background.
type Judging struct {
	*core
	// stale is set from a change of the data until every version is judged by it; wake starts the background.
	stale atomic.Bool
	wake  chan struct{}
}

// All has every version judged by the data and rules that hold now.
func (j *Judging) All() {
	j.stale.Store(true)
	select {
	case j.wake <- struct{}{}:
	default: // it is woken already
	}
}

// Stale reports whether some versions are still shown as the data before judged them.
func (j *Judging) Stale() bool { return j.stale.Load() }

// again judges versions whose contents changed, and notifies of violations that came or went. Empty ids are passed over.
func (j *Judging) again(tx *store.Tx, versionIDs ...string) error {
	slices.Sort(versionIDs)
	for _, id := range slices.Compact(versionIDs) {
		if id == "" {
			continue
		}
		v, ok, err := tx.Versions().Get(id)
		if err != nil {
			return err
		}
		if !ok {
			continue // it was deleted in the meantime
		}
		c, err := j.judgeVersion(tx, &v, true)
		if err != nil {
			return err
		}
		if err := j.notifyPolicy(tx, v, c); err != nil {
			return err
		}
	}
	return nil
}

// judgeVersion writes a version's verdict. Its time moves on when the verdict changed, or when the caller says that the
// contents were moved or scanned.
func (j *Judging) judgeVersion(tx *store.Tx, v *store.Version, moved bool) (change, error) {
	found, scanned, err := tx.Versions().Contents(v.ID)
	if err != nil {
		return change{}, err
	}
	before, err := tx.Versions().Result(v.ID)
	if err != nil {
		return change{}, err
	}
	now, judgedAt := j.Now(), v.Summary.JudgedAt
	after, sum := []judge.Judged(nil), store.Summary{}
	if scanned {
		p, err := tx.Projects().Find(v.Project)
		if err != nil {
			return change{}, err
		}
		image, err := imageOf(tx, v, p.Name)
		if err != nil {
			return change{}, err
		}
		if after, sum, err = j.verdicts.judge(tx, image, found, now); err != nil {
			return change{}, err
		}
		if sum.Basis, err = j.verdicts.basis(tx, now); err != nil {
			return change{}, err
		}
	}
	j.need(tx, sum.Needs)
	c := compare(before, after)
	// A verdict can change without any component: its coverage tells, such as a later as-of time or a file that was not read.
	c.coverage = sum.Status != v.Summary.Status || !reflect.DeepEqual(sum.Coverage, v.Summary.Coverage)
	c.any = c.any || c.coverage
	if sum.JudgedAt = judgedAt; c.any || moved {
		// Clients order verdicts by this time, so a second one within a millisecond must still be later.
		if sum.JudgedAt = now; !sum.JudgedAt.After(judgedAt) {
			sum.JudgedAt = judgedAt.Add(time.Millisecond)
		}
	}
	v.Summary = sum
	if err := tx.Versions().PutResult(v.ID, after); err != nil {
		return change{}, err
	}
	return c, tx.Versions().Put(*v)
}

// imageOf names the image of a version. Perceptor calls a scan by the digest of its image.
func imageOf(tx *store.Tx, v *store.Version, repository string) (judge.Image, error) {
	image := judge.Image{Repository: repository}
	err := tx.Versions().EachCodeLocation(v.ID, func(id string) error {
		l, err := tx.CodeLocations().Find(id)
		if err != nil {
			return err
		}
		if digest, err := model.ParseDigest("sha256:" + l.Name); err == nil {
			image.Digests = append(image.Digests, digest)
		}
		return nil
	})
	return image, err
}

// keepJudged judges versions again when the data changed or time alone changes verdicts.
func (j *Judging) keepJudged() {
	for {
		var ends <-chan time.Time
		if next, now := j.nextChange(); !next.IsZero() {
			ends = j.Clock.After(next.Sub(now))
		}
		select {
		case <-j.context.Done():
			return
		case <-ends:
		case <-j.wake:
		}
		j.stale.Store(true)
		for {
			err := j.judgeStale()
			if err == nil {
				break
			}
			j.Log.Error("verdicts could not be brought up to date, trying again", "error", err)
			if !j.wait(retryWait) {
				return
			}
		}
	}
}

// nextChange is when time alone changes verdicts. Where that cannot be read, it is soon: judging again says what is wrong.
func (j *Judging) nextChange() (next, now time.Time) {
	now = j.Clock.Now()
	err := j.Store.View(func(tx *store.Tx) (err error) {
		next, err = j.verdicts.nextChange(tx, now)
		return err
	})
	if err != nil {
		next = now.Add(retryWait)
	}
	return next, now
}

// judgeStale judges every version whose verdict rests on something older. What is left after a kill is found the same way.
func (j *Judging) judgeStale() error {
	done, next := 0, ""
	for j.context.Err() == nil {
		ids, err := j.staleVersions(next)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			break
		}
		next = ids[len(ids)-1] + "\x00"
		if err := j.warmVersions(ids); err != nil {
			return err
		}
		if err := j.Store.Update(func(tx *store.Tx) error { return j.judgeBatch(tx, ids) }); err != nil {
			return fmt.Errorf("judge versions again: %w", err)
		}
		done += len(ids)
	}
	if done > 0 {
		j.Log.Info("verdicts brought up to date", "versions", done)
	}
	if len(j.wake) == 0 { // data that changed in the meantime are for the next round
		j.stale.Store(j.context.Err() != nil)
	}
	return nil
}

// staleVersions finds the next versions to judge, from an id on.
func (j *Judging) staleVersions(from string) ([]string, error) {
	var ids []string
	err := j.Store.View(func(tx *store.Tx) error {
		basis, err := j.verdicts.basis(tx, j.Now())
		if err != nil {
			return err
		}
		return tx.Versions().EachFrom(from, func(v store.Version) bool {
			if v.Summary.Judged() && v.Summary.Basis != basis {
				ids = append(ids, v.ID)
			}
			return len(ids) < judgeBatch
		})
	})
	return ids, err
}

func (j *Judging) warmVersions(ids []string) error {
	return j.Store.View(func(tx *store.Tx) error {
		for _, id := range ids {
			found, _, err := tx.Versions().Contents(id)
			if err != nil {
				return err
			}
			if err := j.verdicts.warm(tx, found); err != nil {
				return err
			}
		}
		return nil
	})
}

// judgeBatch judges some versions. A vulnerability that became known in several of them makes one notification.
func (j *Judging) judgeBatch(tx *store.Tx, ids []string) error {
	var news vulnerabilityNews
	for _, id := range ids {
		v, ok, err := tx.Versions().Get(id)
		if err != nil {
			return err
		}
		if !ok {
			continue // it was deleted in the meantime
		}
		c, err := j.judgeVersion(tx, &v, false)
		if err != nil {
			return err
		}
		if err := j.notifyPolicy(tx, v, c); err != nil {
			return err
		}
		if err := j.notifyCoverage(tx, v, c); err != nil {
			return err
		}
		if err := news.add(tx, v, c); err != nil {
			return err
		}
	}
	return news.publish(tx, j.core)
}
