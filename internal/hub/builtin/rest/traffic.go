package rest

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/perceptor/perceptor/internal/hub/builtin/store"
)

// PathClass is what a request is about, by its method and path.
type PathClass string

// The classes of requests.
const (
	// ClassUpload is the upload of a document alone; what a client asks before is of the other classes.
	ClassUpload PathClass = "upload"
	// ClassLookup asks for code locations, ClassPoll for the state of scans and their bills of materials.
	ClassLookup PathClass = "lookup"
	ClassPoll   PathClass = "poll"
	// ClassVerdict reads projects, versions and their components.
	ClassVerdict PathClass = "verdict"
	// ClassRefresh reads notifications.
	ClassRefresh PathClass = "refresh"
	// ClassLogin is the logins and the version that is asked for at each; ClassControl asks whether the hub is well.
	ClassLogin   PathClass = "login"
	ClassControl PathClass = "control"
	// ClassOther is everything else: changes, policy rules, unknown paths.
	ClassOther PathClass = "other"
	// ClassInternal is the hub's own additions below /internal: neither counted here nor disturbed.
	ClassInternal PathClass = "internal"
)

// PathClasses are the classes that are counted and can be disturbed.
var PathClasses = []PathClass{ClassUpload, ClassLookup, ClassPoll, ClassVerdict, ClassRefresh, ClassLogin, ClassControl, ClassOther}

// allRequests stands for all classes together in the highest rates.
const allRequests = "all"

// ClassOf finds the class of a request.
func ClassOf(r *http.Request) PathClass {
	method, path := r.Method, r.URL.Path
	switch {
	case strings.HasPrefix(path, "/internal/"):
		return ClassInternal
	case strings.HasPrefix(path, "/api/scan/data"):
		return ClassUpload
	case path == "/api/tokens/authenticate", path == "/j_spring_security_check", path == "/api/current-version":
		return ClassLogin
	case strings.HasPrefix(path, "/api/health-checks/"), path == "/api/scan-readiness":
		return ClassControl
	case method != http.MethodGet && method != http.MethodHead:
		return ClassOther
	case strings.Contains(path, "scan-summar"), strings.HasPrefix(path, "/api/scans/"), strings.Contains(path, "/bom-status"):
		return ClassPoll
	case strings.Contains(path, "/codelocations"):
		return ClassLookup
	case strings.HasPrefix(path, "/api/projects"):
		return ClassVerdict
	case strings.HasPrefix(path, "/api/notifications"):
		return ClassRefresh
	default:
		return ClassOther
	}
}

// Traffic is what was asked of the hub, without what lies below /internal.
type Traffic struct {
	// Requests counts requests by class.
	Requests map[PathClass]uint64 `json:"requests_by_class"`
	// Highest is the most requests ever seen within any second and any ten seconds, by class and for "all".
	Highest map[string]Peak `json:"highest_rates"`
}

// Peak is the most requests seen in a window of time.
type Peak struct {
	In1s  uint64 `json:"in_1s"`
	In10s uint64 `json:"in_10s"`
}

// The windows of Peak.
const (
	shortWindow = time.Second
	longWindow  = 10 * time.Second
)

// traffic counts requests in memory; the file gets the counts now and then.
type traffic struct {
	lock    sync.Mutex
	seen    Traffic
	windows map[string]*window
	unsaved bool
}

// window holds the times of the requests of the last ten seconds.
type window struct {
	times []time.Time
	// short is where the last second begins.
	short int
}

// note counts one request.
func (t *traffic) note(class PathClass, now time.Time) {
	if class == ClassInternal {
		return
	}
	t.lock.Lock()
	defer t.lock.Unlock()
	t.unsaved = true
	t.seen.Requests[class]++
	for _, of := range []string{string(class), allRequests} {
		w := t.windows[of]
		if w == nil {
			w = &window{}
			t.windows[of] = w
		}
		t.seen.Highest[of] = w.add(now, t.seen.Highest[of])
	}
}

// add takes one more request in and answers the peak so far.
func (w *window) add(now time.Time, peak Peak) Peak {
	w.times = append(w.times, now)
	gone := 0
	for now.Sub(w.times[gone]) >= longWindow {
		gone++
	}
	w.times, w.short = w.times[gone:], max(w.short-gone, 0)
	for now.Sub(w.times[w.short]) >= shortWindow {
		w.short++
	}
	long := len(w.times)
	return Peak{In1s: max(peak.In1s, uint64(long-w.short)), In10s: max(peak.In10s, uint64(long))} //nolint:gosec // lengths
}

// read copies the counts.
func (t *traffic) read() Traffic {
	t.lock.Lock()
	defer t.lock.Unlock()
	return Traffic{Requests: maps.Clone(t.seen.Requests), Highest: maps.Clone(t.seen.Highest)}
}

// loadTraffic reads the counts that an earlier run of the hub has written.
func loadTraffic(file *store.Store) (*traffic, error) {
	t := &traffic{windows: map[string]*window{}}
	err := file.View(func(tx *store.Tx) error { return tx.Counters().Traffic(&t.seen) })
	if t.seen.Requests == nil {
		t.seen.Requests, t.seen.Highest = map[PathClass]uint64{}, map[string]Peak{}
	}
	return t, err
}

// save writes the counts when there are new ones.
func (t *traffic) save(tx *store.Tx) error {
	t.lock.Lock()
	defer t.lock.Unlock()
	if !t.unsaved {
		return nil
	}
	t.unsaved = false
	return tx.Counters().PutTraffic(t.seen)
}

// Bounds of what callers may cost. The times are for the whole of a body: half a MiB per second is enough for the largest document
// within uploadTime.
const (
	bodyTime   = 30 * time.Second
	uploadTime = 15 * time.Minute
	// documentsAtOnce bounds the memory of documents that are read into components.
	documentsAtOnce = 2
	// attemptAhead is how far an attempt's time may be ahead of this hub's clock. An attempt of the far future would make every later
	// upload of that image an old one.
	attemptAhead = time.Hour
)

// limitBody bounds how long the body of a request may take.
func limitBody(w http.ResponseWriter, r *http.Request) {
	within := bodyTime
	if ClassOf(r) == ClassUpload {
		within = uploadTime
	}
	// A writer without deadlines is that of a test.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(within))
}

// documents are the places for reading documents.
type documents chan struct{}

// enter waits for a place. The body is read by then, so a slow sender holds none.
func (d documents) enter(ctx context.Context) error {
	select {
	case d <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d documents) leave() { <-d }
