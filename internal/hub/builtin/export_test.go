package builtin

import (
	"net/url"
	"time"

	"go.etcd.io/bbolt"
)

// What tests outside the package may see of it.

// ParseDocument reads a document and answers its components' keys.
func ParseDocument(raw []byte) ([]string, error) {
	found, err := parseDocument(raw)
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, c := range found.components {
		keys = append(keys, c.key())
	}
	return keys, nil
}

// NotificationQuery is a parsed query in plain types.
type NotificationQuery struct {
	Limit, Offset int
	From, To      time.Time
	Types         int
}

// ParseNotificationQuery reads a query.
func ParseNotificationQuery(values url.Values) (NotificationQuery, error) {
	q, err := parseNotificationQuery(values)
	return NotificationQuery{q.limit, q.offset, q.from, q.to, len(q.types)}, err
}

// CheckPolicy reads rules.
func CheckPolicy(raw []byte) error {
	_, err := parsePolicy(raw)
	return err
}

// UnusedData names a generation of data that waits for its deletion; empty when there is none.
func (h *Hub) UnusedData() (string, error) { return h.unusedData() }

// StoredScans counts the scans in the file and those of them that are in progress.
func (h *Hub) StoredScans() (all, active int, err error) {
	err = h.db.View(func(tx *bbolt.Tx) error {
		all, active = tx.Bucket([]byte(scanBucket)).Stats().KeyN, tx.Bucket([]byte(activeBucket)).Stats().KeyN
		return nil
	})
	return all, active, err
}

// DueScans counts the scans in progress whose time has come.
func (h *Hub) DueScans() (due int) {
	_ = h.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(activeBucket)).ForEach(func(id, _ []byte) error {
			if s, err := findScan(tx, string(id)); err == nil && !s.DueAt.After(h.options.Clock.Now()) {
				due++
			}
			return nil
		})
	})
	return due
}
