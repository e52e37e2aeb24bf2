package builtin

import (
	"maps"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

// PathClass is what a request is about, as its path tells.
type PathClass string

// The classes of requests.
const (
	// classUpload is the upload of a document alone; what a client asks before is of the other classes.
	classUpload PathClass = "upload"
	// classLookup asks for code locations, classPoll for the state of scans and their bills of materials.
	classLookup PathClass = "lookup"
	classPoll   PathClass = "poll"
	// classVerdict reads projects, versions and their components.
	classVerdict PathClass = "verdict"
	// classRefresh reads notifications.
	classRefresh PathClass = "refresh"
	// classLogin is the logins and the version that is asked for at each; classControl tells whether the hub is well.
	classLogin   PathClass = "login"
	classControl PathClass = "control"
	// classOther is everything else: changes, policy rules, unknown paths.
	classOther PathClass = "other"
	// classInternal is the hub's own additions below /internal: neither counted here nor faulted.
	classInternal PathClass = "internal"
)

// pathClasses are the classes that are counted and can be faulted.
var pathClasses = []PathClass{classUpload, classLookup, classPoll, classVerdict, classRefresh, classLogin, classControl, classOther}

// allRequests stands for all classes together in the highest rates.
const allRequests = "all"

// classOf finds the class of a route's pattern.
func classOf(pattern string) PathClass {
	method, path, _ := strings.Cut(pattern, " ")
	switch {
	case strings.HasPrefix(path, "/internal/"):
		return classInternal
	case strings.HasPrefix(path, "/api/scan/data"):
		return classUpload
	case path == "/api/tokens/authenticate", path == "/j_spring_security_check", path == "/api/current-version":
		return classLogin
	case strings.HasPrefix(path, "/api/health-checks/"), path == "/api/scan-readiness":
		return classControl
	case method != "GET":
		return classOther
	case strings.Contains(path, "scan-summar"), strings.HasPrefix(path, "/api/scans/"), strings.Contains(path, "/bom-status"):
		return classPoll
	case strings.Contains(path, "/codelocations"):
		return classLookup
	case strings.HasPrefix(path, "/api/projects"):
		return classVerdict
	case strings.HasPrefix(path, "/api/notifications"):
		return classRefresh
	default:
		return classOther
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
	if class == classInternal {
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

const trafficKey = "traffic"

// loadTraffic reads the counts that an earlier run of the hub has written.
func loadTraffic(db *bbolt.DB) (*traffic, error) {
	t := &traffic{windows: map[string]*window{}}
	err := db.View(func(tx *bbolt.Tx) (err error) {
		t.seen, _, err = read[Traffic](tx, metaBucket, trafficKey)
		return err
	})
	if t.seen.Requests == nil {
		t.seen.Requests, t.seen.Highest = map[PathClass]uint64{}, map[string]Peak{}
	}
	return t, err
}

// save writes the counts when there are new ones.
func (t *traffic) save(tx *bbolt.Tx) error {
	t.lock.Lock()
	defer t.lock.Unlock()
	if !t.unsaved {
		return nil
	}
	t.unsaved = false
	return write(tx, metaBucket, trafficKey, t.seen)
}
