package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
	"github.com/perceptor/perceptor/model"
)

// NotificationType is the kind of a notification, in the words of the API.
type NotificationType string

// The notifications this hub makes.
const (
	TypeVulnerability NotificationType = "VULNERABILITY"
	TypeViolation     NotificationType = "RULE_VIOLATION"
	TypeCleared       NotificationType = "RULE_VIOLATION_CLEARED"
	TypeOverride      NotificationType = "POLICY_OVERRIDE"
	TypeComputed      NotificationType = "VERSION_BOM_CODE_LOCATION_BOM_COMPUTED"
	// TypeEdited: the verdict changed although no component did, because what it rests on is another.
	TypeEdited  NotificationType = "BOM_EDIT"
	TypeProject NotificationType = "PROJECT"
	TypeVersion NotificationType = "PROJECT_VERSION"
)

// Notification is what happened, as it is stored: with ids, since URLs depend on who asks.
type Notification struct {
	Type        NotificationType `json:"type"`
	Operation   string           `json:"operation,omitempty"`
	Project     string           `json:"project,omitempty"`
	ProjectName string           `json:"projectName,omitempty"`
	Version     string           `json:"version,omitempty"`
	VersionName string           `json:"versionName,omitempty"`
	// CodeLocation and Scan are those of a computed bill of materials.
	CodeLocation string `json:"codeLocation,omitempty"`
	Scan         string `json:"scan,omitempty"`
	// Components are those whose policy status changed; of a vulnerability notification, the one that has it.
	Components []NotedComponent     `json:"components,omitempty"`
	Added      []NotedVulnerability `json:"added,omitempty"`
	Updated    []NotedVulnerability `json:"updated,omitempty"`
	Ended      []NotedVulnerability `json:"ended,omitempty"`
	// Affected are the versions that hold the component.
	Affected []NotedVersion `json:"affected,omitempty"`

	// Key and At are its key in the file. What reports a verdict has the verdict's own time, so that a client that has
	// read this verdict knows that it has missed nothing.
	Key uuid.UUID `json:"-"`
	At  time.Time `json:"-"`
}

// NotedVersion is a version that a notification names.
type NotedVersion struct {
	Project     string `json:"project"`
	ProjectName string `json:"projectName"`
	Version     string `json:"version"`
	VersionName string `json:"versionName"`
}

// NotedComponent is a component that a notification names.
type NotedComponent struct {
	judge.Component
	ID         string              `json:"id"`
	Status     model.OverallStatus `json:"status"`
	Violations []judge.Violation   `json:"violations,omitempty"`
}

// NotedVulnerability is a vulnerability that a notification names.
type NotedVulnerability struct {
	ID       string         `json:"id"`
	Severity model.Severity `json:"severity"`
	URL      string         `json:"url,omitempty"`
}

// Notifications reaches the notifications within one transaction.
type Notifications struct{ tx *bbolt.Tx }

// Add stores a notification in the transaction of what it reports. The key orders by time and, within a millisecond, by a
// number, so that no two are ever mistaken for each other.
func (n Notifications) Add(one Notification) error {
	bucket := n.tx.Bucket([]byte(notificationBucket))
	seq, err := bucket.NextSequence()
	if err != nil {
		return fmt.Errorf("number a notification: %w", err)
	}
	raw, err := json.Marshal(one)
	if err != nil {
		return fmt.Errorf("encode a notification: %w", err)
	}
	return writeRaw(n.tx, notificationBucket, timeKey(one.At)+sequenceKey(seq)+string(one.Type), raw)
}

// timeKey orders times from 1970 on as bytes.
func timeKey(at time.Time) string { return sequenceKey(uint64(max(0, at.UnixMilli()))) }

// Find reads a notification; the error is a NotFoundError where there is none.
func (n Notifications) Find(id uuid.UUID) (Notification, error) {
	key, raw := n.tx.Bucket([]byte(notificationBucket)).Cursor().Seek(id[:])
	if len(key) < len(id) || uuid.UUID(key[:16]) != id {
		return Notification{}, &NotFoundError{What: "notification", ID: id.String()}
	}
	return decodeNotification(key, raw)
}

// Walk visits the notifications from one time to another, both included, newest first; zero means from the first, to the
// last. The type is known at once, the notification itself is decoded only where the function asks for it.
func (n Notifications) Walk(from, to time.Time, visit func(kind NotificationType, decode func() (Notification, error)) error) error {
	first, cursor := []byte(nil), n.tx.Bucket([]byte(notificationBucket)).Cursor()
	if !from.IsZero() {
		// A start between two milliseconds excludes the earlier one.
		first = []byte(timeKey(from.Add(time.Millisecond - 1).Truncate(time.Millisecond)))
	}
	key, raw := cursor.Last()
	if !to.IsZero() {
		if after, _ := cursor.Seek([]byte(timeKey(to.Add(time.Millisecond)))); after != nil {
			key, raw = cursor.Prev()
		} else {
			key, raw = cursor.Last()
		}
	}
	for ; key != nil && bytes.Compare(key, first) >= 0; key, raw = cursor.Prev() {
		err := visit(NotificationType(key[16:]), func() (Notification, error) { return decodeNotification(key, raw) })
		if err != nil {
			return err
		}
	}
	return nil
}

func decodeNotification(key, raw []byte) (Notification, error) {
	var n Notification
	if err := json.Unmarshal(raw, &n); err != nil {
		return n, fmt.Errorf("read notification: %w", err)
	}
	n.Key = uuid.UUID(key[:16])
	n.At = time.UnixMilli(int64(binary.BigEndian.Uint64(key[:8]))).UTC() //nolint:gosec // timeKey wrote it from an int64
	return n, nil
}

// AnyBefore reports whether there is a notification from before a time.
func (n Notifications) AnyBefore(at time.Time) bool {
	key := firstKey(n.tx.Bucket([]byte(notificationBucket)).Cursor())
	return key != nil && string(key) < timeKey(at)
}

// DeleteBefore deletes the oldest notifications from before a time, at most that many.
func (n Notifications) DeleteBefore(at time.Time, most int) error {
	cursor, last := n.tx.Bucket([]byte(notificationBucket)).Cursor(), timeKey(at)
	for key, deleted := firstKey(cursor), 0; key != nil && string(key) < last && deleted < most; key, deleted = firstKey(cursor), deleted+1 {
		if err := cursor.Delete(); err != nil {
			return fmt.Errorf("delete old notifications: %w", err)
		}
	}
	return nil
}
