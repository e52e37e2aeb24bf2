package conformance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/perceptor/perceptor/model"
)

// World takes reports as Perceptor does: a snapshot is everything, older reports change nothing.
type World struct {
	lock    sync.Mutex
	pods    map[key]model.Pod
	version model.Version
	reports []model.PodReport
	wrong   []string
	away    bool
}

// key tells pods apart: each namespace has an inventory of its own.
type key struct{ namespace, uid string }

// NewWorld knows nothing.
func NewWorld() *World { return &World{pods: map[key]model.Pod{}} }

var errAway = errors.New("nothing listens")

// Report takes a report.
func (w *World) Report(_ context.Context, r model.PodReport) error {
	w.lock.Lock()
	defer w.lock.Unlock()
	if w.away {
		return errAway
	}
	w.check(r)
	w.reports = append(w.reports, r)
	if !w.version.Before(r.Version) {
		return nil
	}
	w.version = r.Version
	if r.Snapshot {
		w.pods = map[key]model.Pod{}
	} else {
		for _, gone := range r.Gone {
			delete(w.pods, key{gone.Namespace, gone.UID})
		}
	}
	for _, p := range r.Pods {
		w.pods[key{p.Namespace, p.UID}] = p
	}
	return nil
}

// check notes what no perceiver may send.
func (w *World) check(r model.PodReport) {
	complain := func(format string, args ...any) { w.wrong = append(w.wrong, fmt.Sprintf(format, args...)) }
	if !w.version.Before(r.Version) {
		complain("version %v after %v", r.Version, w.version)
	}
	if len(w.reports) == 0 && !r.Snapshot {
		complain("the first report is no snapshot")
	}
	for _, p := range r.Pods {
		if err := p.Check(); err != nil {
			complain("pod %q: %v", p.Name, err)
		}
	}
	for _, gone := range r.Gone {
		if gone.UID == "" {
			complain("gone without a UID: %q", gone.Name)
		}
	}
}

// SetAway has every report fail until it is set to false.
func (w *World) SetAway(away bool) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.away = away
}

// Reports are all reports that arrived.
func (w *World) Reports() []model.PodReport {
	w.lock.Lock()
	defer w.lock.Unlock()
	return slices.Clone(w.reports)
}

// Snapshots is how many snapshots have arrived.
func (w *World) Snapshots() int {
	return len(slices.DeleteFunc(w.Reports(), func(r model.PodReport) bool { return !r.Snapshot }))
}

// Pods are the pods that are known, in the order of namespaces and UIDs.
func (w *World) Pods() []model.Pod {
	w.lock.Lock()
	defer w.lock.Unlock()
	return slices.SortedFunc(maps.Values(w.pods), func(a, b model.Pod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.UID, b.UID))
	})
}

// Wrong is what no perceiver may send and this one did.
func (w *World) Wrong() []string {
	w.lock.Lock()
	defer w.lock.Unlock()
	return slices.Clone(w.wrong)
}
