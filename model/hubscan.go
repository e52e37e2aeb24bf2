package model

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// HubScanState is how far a scan is at a hub.
type HubScanState string

// The states. Absent means that the hub was asked and knows no such scan.
const (
	HubScanAbsent     HubScanState = "absent"
	HubScanInProgress HubScanState = "in-progress"
	HubScanComplete   HubScanState = "complete"
	HubScanFailed     HubScanState = "failed"
)

// HubScan is what a hub knows of the scan of one image.
type HubScan struct {
	Hub   string       `json:"hub"`
	Name  string       `json:"name"`
	State HubScanState `json:"state"`
	// ScanID is the hub's id of the newest scan under this name, when it tells.
	ScanID string `json:"scanID,omitempty"`
	// CodeLocationURL and VersionURL are the hub's objects of that scan.
	CodeLocationURL string `json:"codeLocationURL,omitempty"`
	VersionURL      string `json:"versionURL,omitempty"`
	// StartedAt is when the hub accepted the newest scan, by the hub's clock.
	StartedAt time.Time `json:"startedAt"`
	UpdatedAt time.Time `json:"updatedAt"`
	// Detail is the hub's own word for the state, such as BUILDING_BOM, or its reason for a failure.
	Detail string `json:"detail,omitempty"`
}

// AttemptID orders the uploads of one image: a hub that understands it refuses an upload older than one it has seen.
// Both parts grow strictly, also across a new pool of hubs.
type AttemptID struct {
	// Millis is the time of the grant in milliseconds since 1970.
	Millis int64 `json:"millis"`
	// Counter breaks ties of Millis.
	Counter int64 `json:"counter"`
}

// Less reports whether a was issued before b.
func (a AttemptID) Less(b AttemptID) bool {
	return a.Millis < b.Millis || a.Millis == b.Millis && a.Counter < b.Counter
}

// IsZero reports whether no attempt was issued.
func (a AttemptID) IsZero() bool { return a == AttemptID{} }

// String is the form on the wire: "<millis>-<counter>", as ParseAttemptID reads it.
func (a AttemptID) String() string { return fmt.Sprintf("%d-%d", a.Millis, a.Counter) }

// ParseAttemptID reads what String wrote.
func ParseAttemptID(s string) (AttemptID, error) {
	var a AttemptID
	millis, counter, found := strings.Cut(s, "-")
	if !found {
		return a, fmt.Errorf("attempt id %.40q: want <millis>-<counter>", s)
	}
	var err error
	if a.Millis, err = strconv.ParseInt(millis, 10, 64); err != nil || a.Millis < 0 {
		return AttemptID{}, fmt.Errorf("attempt id %.40q: %.20q is not a time in milliseconds", s, millis)
	}
	if a.Counter, err = strconv.ParseInt(counter, 10, 64); err != nil || a.Counter < 0 {
		return AttemptID{}, fmt.Errorf("attempt id %.40q: %.20q is not a counter", s, counter)
	}
	return a, nil
}
