package builtin

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

const (
	// judgeBatch is how many versions are judged in one transaction, between which uploads get their turn.
	judgeBatch = 20
	// houseInterval is how often counters are written and old things thrown away.
	houseInterval = 5 * time.Second
	// keepNotifications is how long notifications stay readable.
	keepNotifications = 30 * 24 * time.Hour
	// deleteBatch bounds what one transaction deletes.
	deleteBatch = 2000
)

// rejudgeAll has every version judged by the data and rules that hold now.
func (h *Hub) rejudgeAll() {
	h.stale.Store(true)
	select {
	case h.wake <- struct{}{}:
	default: // it is woken already
	}
}

// keepJudged judges versions anew when the data changed or an override of a rule ended.
func (h *Hub) keepJudged() {
	for {
		var ends <-chan time.Time
		now := h.options.Clock.Now()
		if next := h.rules.nextEnd(now); !next.IsZero() {
			ends = h.options.Clock.After(next.Sub(now))
		}
		select {
		case <-h.context.Done():
			return
		case <-ends:
		case <-h.wake:
		}
		h.stale.Store(true)
		for {
			err := h.judgeStale()
			if err == nil {
				break
			}
			h.log.Error("verdicts not brought up to date, trying again", "error", err)
			if !h.wait(retryWait) {
				return
			}
		}
	}
}

// judgeStale judges every version whose verdict rests on something older. What is left after a kill is found the same way.
func (h *Hub) judgeStale() error {
	done, next := 0, ""
	for h.context.Err() == nil {
		ids, err := h.staleVersions(next)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			break
		}
		next = ids[len(ids)-1] + "\x00"
		if err := h.warmVersions(ids); err != nil {
			return err
		}
		if err := h.db.Update(func(tx *bbolt.Tx) error { return h.judgeBatch(tx, ids) }); err != nil {
			return fmt.Errorf("judge versions anew: %w", err)
		}
		done += len(ids)
	}
	if done > 0 {
		h.log.Info("verdicts brought up to date", "versions", done)
	}
	if len(h.wake) == 0 { // data that changed meanwhile are for the next round
		h.stale.Store(h.context.Err() != nil)
	}
	return nil
}

// staleVersions finds the next versions to judge, from an id on.
func (h *Hub) staleVersions(from string) ([]string, error) {
	var ids []string
	err := h.db.View(func(tx *bbolt.Tx) error {
		basis, err := h.basis(tx)
		if err != nil {
			return err
		}
		cursor := tx.Bucket([]byte(versionBucket)).Cursor()
		key, _ := cursor.Seek([]byte(from))
		for ; key != nil && len(ids) < judgeBatch; key, _ = cursor.Next() {
			v, _, err := read[version](tx, versionBucket, string(key))
			if err != nil {
				return err
			}
			if v.Summary.judged() && v.Summary.Basis != basis {
				ids = append(ids, v.ID)
			}
		}
		return nil
	})
	return ids, err
}

func (h *Hub) warmVersions(ids []string) error {
	return h.db.View(func(tx *bbolt.Tx) error {
		for _, id := range ids {
			found, _, err := contentsOf(tx, id)
			if err != nil {
				return err
			}
			if err := h.warm(tx, found); err != nil {
				return err
			}
		}
		return nil
	})
}

// judgeBatch judges some versions. A vulnerability that became known in several of them makes one notification.
func (h *Hub) judgeBatch(tx *bbolt.Tx, ids []string) error {
	var news vulnerabilityNews
	for _, id := range ids {
		v, ok, err := read[version](tx, versionBucket, id)
		if err != nil {
			return err
		}
		if !ok {
			continue // deleted meanwhile
		}
		c, err := h.judgeVersion(tx, &v, false)
		if err != nil {
			return err
		}
		if err := h.notifyPolicy(tx, v, c); err != nil {
			return err
		}
		if err := news.add(tx, v, c); err != nil {
			return err
		}
	}
	return news.publish(tx, h)
}

// keepHouse writes the request counter and throws away old notifications and data that no longer count.
func (h *Hub) keepHouse() {
	for {
		for _, chore := range []func() error{h.flushRequests, h.dropOldNotifications, h.dropOldData} {
			if err := chore(); err != nil {
				h.log.Error("housekeeping", "error", err)
			}
		}
		if !h.wait(houseInterval) {
			return
		}
	}
}

func (h *Hub) dropOldNotifications() error {
	last := binary.BigEndian.AppendUint64(nil, uint64(max(0, h.now().Add(-keepNotifications).UnixMilli())))
	old := func(key []byte) bool { return bytes.Compare(key, last) < 0 }
	found := false
	err := h.db.View(func(tx *bbolt.Tx) error {
		key, _ := tx.Bucket([]byte(notificationBucket)).Cursor().First()
		found = key != nil && old(key)
		return nil
	})
	if err != nil || !found {
		return err
	}
	return h.db.Update(func(tx *bbolt.Tx) error {
		cursor := tx.Bucket([]byte(notificationBucket)).Cursor()
		for key, n := firstKey(cursor), 0; key != nil && old(key) && n < deleteBatch; key, n = firstKey(cursor), n+1 {
			if err := cursor.Delete(); err != nil {
				return fmt.Errorf("delete old notifications: %w", err)
			}
		}
		return nil
	})
}

func firstKey(cursor *bbolt.Cursor) []byte {
	key, _ := cursor.First()
	return key
}

// dropOldData deletes generations of vulnerability data that are neither in use nor being loaded, in batches.
func (h *Hub) dropOldData() error {
	for h.context.Err() == nil {
		name, err := h.unusedData()
		if err != nil || name == "" {
			return err
		}
		err = h.db.Update(func(tx *bbolt.Tx) error {
			// Looked for again: since the look above, the generation may have come into use.
			name, err := h.findUnused(tx)
			if err != nil || name == "" {
				return err
			}
			return deletePart(tx, name)
		})
		if err != nil {
			return fmt.Errorf("delete old vulnerability data: %w", err)
		}
	}
	return nil
}

func (h *Hub) unusedData() (name string, err error) {
	err = h.db.View(func(tx *bbolt.Tx) (err error) {
		name, err = h.findUnused(tx)
		return err
	})
	return name, err
}

func (h *Hub) findUnused(tx *bbolt.Tx) (name string, err error) {
	current, err := currentGeneration(tx)
	if err != nil {
		return "", err
	}
	used := map[string]bool{string(dataBucket(current.Number)): true, string(dataBucket(h.loadingNumber.Load())): true}
	err = tx.ForEach(func(bucket []byte, _ *bbolt.Bucket) error {
		if strings.HasPrefix(string(bucket), dataPrefix) && !used[string(bucket)] {
			name = string(bucket)
		}
		return nil
	})
	return name, err
}

// deletePart deletes some of a generation, and the generation when nothing is left in it.
func deletePart(tx *bbolt.Tx, name string) error {
	data, left := tx.Bucket([]byte(name)), deleteBatch
	for _, part := range dataParts {
		bucket := data.Bucket([]byte(part))
		if bucket == nil {
			continue
		}
		cursor := bucket.Cursor()
		for key := firstKey(cursor); key != nil && left > 0; key = firstKey(cursor) {
			if err := cursor.Delete(); err != nil {
				return fmt.Errorf("delete from %s: %w", part, err)
			}
			left--
		}
	}
	if left == 0 {
		return nil
	}
	return tx.DeleteBucket([]byte(name))
}
