package model

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// ScanStatus is how far an image is. The first five are the words of Perceptor 0.x (2018).
type ScanStatus string

// The scan statuses in the order an image goes through them.
const (
	StatusUnknown           ScanStatus = "Unknown"
	StatusInQueue           ScanStatus = "InQueue"
	StatusRunningScanClient ScanStatus = "RunningScanClient"
	StatusRunningHubScan    ScanStatus = "RunningHubScan"
	StatusComplete          ScanStatus = "Complete"
	StatusFailed            ScanStatus = "Failed"
)

// far orders statuses from a failure, over nothing at all, to Complete.
var far = map[ScanStatus]int{
	StatusFailed: -1, StatusUnknown: 0, StatusInQueue: 1, StatusRunningScanClient: 2, StatusRunningHubScan: 3, StatusComplete: 4,
}

// LessFar is the status of two images together: Failed where one has failed, else the one that is less far.
func (s ScanStatus) LessFar(t ScanStatus) ScanStatus {
	if far[t] < far[s] {
		return t
	}
	return s
}

// HubIdentity tells a hub with its data from another one at the same address, such as one whose database was deleted.
type HubIdentity struct {
	// Server is the ID of this hub's data; empty where the hub has none.
	Server string `json:"server,omitempty"`
	// Sequence grows with every scan that the hub takes. A smaller one than before is that of an older copy of the data.
	Sequence uint64 `json:"sequence,omitempty"`
}

// LostSince reports whether the hub has lost data since it had another identity.
func (i HubIdentity) LostSince(before HubIdentity) bool {
	return before.Server != "" && (i.Server != before.Server || i.Sequence < before.Sequence)
}

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
	// Hub is the configured name of the hub.
	Hub string `json:"hub"`
	// Name is the name of the scan at the hub, HubNames.Scan.
	Name  string       `json:"name"`
	State HubScanState `json:"state"`
	// ScanID is the hub's ID of the newest scan under this name; empty when the hub does not give it.
	ScanID string `json:"scanID,omitempty"`
	// CodeLocationURL and VersionURL are the hub's objects of that scan.
	CodeLocationURL string `json:"codeLocationURL,omitempty"`
	VersionURL      string `json:"versionURL,omitempty"`
	// StartedAt is when the hub accepted the newest scan, by the hub's clock.
	StartedAt time.Time `json:"startedAt"`
	// UpdatedAt is when the hub last changed the scan, by the hub's clock.
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

// String is the form that hubs get: "<millis>-<counter>". ParseAttemptID reads it.
func (a AttemptID) String() string { return fmt.Sprintf("%d-%d", a.Millis, a.Counter) }

// ParseAttemptID reads the form that String writes; anything else is an error.
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

// UploadTarget says where a scan client uploads, and by which login. It stays in the memory of one process for one upload: it
// is never an input or a result of an activity. Printing or logging it leaves the secrets out.
type UploadTarget struct {
	// Hub is the configured name of the hub.
	Hub string
	// URL is the hub's root, such as "https://hub.example:8443".
	URL string
	// CAFile holds the PEM certificates to trust; empty means the system's.
	CAFile string
	// Insecure turns certificate verification off, for a hub whose operator said so.
	Insecure bool
	// Token is an API token; when empty, Username and Password are the login.
	Token    string
	Username string
	Password string
}

// String names the target without its secrets.
func (t UploadTarget) String() string { return fmt.Sprintf("hub %s at %s", t.Hub, t.URL) }

// GoString is String, so that %#v leaks nothing either.
func (t UploadTarget) GoString() string { return t.String() }

// LogValue is String, for structured logs.
func (t UploadTarget) LogValue() slog.Value { return slog.StringValue(t.String()) }
