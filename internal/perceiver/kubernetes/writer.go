package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/perceptor/perceptor/model"
)

// writesAtOnce is how many pods of one call are written to at a time; the client's rate is the bound over all of them.
const writesAtOnce = 8

// Writer writes what is known of pods onto them. It is safe for concurrent use.
type Writer struct {
	client Client
	watch  *watch
	marker marker
	logger *slog.Logger

	lock sync.Mutex
	// sent are the sums of marks that were written and that the cache of pods has not shown yet.
	sent map[string]uint64
	// muteEvents is set when the cluster does not let Events be written.
	muteEvents sync.Once
}

func newWriter(client Client, w *watch, logger *slog.Logger) *Writer {
	writer := &Writer{client: client, watch: w, marker: w.marker, logger: logger, sent: map[string]uint64{}}
	w.marked = writer.seen
	return writer
}

// uncertain is in place of a sum where it is unknown what stands on a pod; it equals none.
const uncertain = ^uint64(0)

// writeTimeout is how long one pod may take.
const writeTimeout = 20 * time.Second

// outcome is what became of one row.
type outcome int

const (
	unchanged outcome = iota
	written
	gone
)

// Write brings rows onto their pods. A pod whose marks say the same already is left alone, and so is what is not of
// interest any more, which counts as gone. The error is for a call in which no pod could be written to at all.
func (w *Writer) Write(ctx context.Context, rows []model.PodVerdict) (model.WriteResult, error) {
	var (
		result model.WriteResult
		last   error
		lock   sync.Mutex
		wait   sync.WaitGroup
		places = make(chan struct{}, writesAtOnce)
	)
	for _, row := range rows {
		places <- struct{}{}
		wait.Go(func() {
			defer func() { <-places }()
			became, err := w.writeRow(ctx, row)
			lock.Lock()
			defer lock.Unlock()
			key := model.PodKey{UID: row.UID, Namespace: row.Namespace, Name: row.Name}
			switch {
			case err != nil:
				last = err
				result.Failed = append(result.Failed, failureOf(key, err))
			case became == gone:
				result.Gone = append(result.Gone, key)
			case became == written:
				result.Written++
			default:
				result.Unchanged++
			}
		})
	}
	wait.Wait()
	if ctx.Err() != nil {
		return result, fmt.Errorf("write verdicts: %w", ctx.Err())
	}
	if len(result.Failed) > 0 && len(result.Failed) == len(rows) && classOf(last).Temporary() {
		return result, fmt.Errorf("write verdicts onto %d pods: %w", len(rows), last)
	}
	return result, nil
}

func (w *Writer) writeRow(ctx context.Context, row model.PodVerdict) (outcome, error) {
	if row.Bare {
		return unchanged, nil
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if row.UID == "" || row.Namespace == "" || row.Name == "" {
		return unchanged, errNoPod
	}
	entry, is := w.watch.entry(row.UID)
	if !is {
		// The cache knows every pod that was reported. Only to be sure, because what is gone is forgotten.
		return w.confirmGone(ctx, row)
	}
	if !w.watch.wants(entry) {
		return gone, nil
	}
	marks := w.marker.of(row)
	if w.stands(row.UID, entry.marks, marks.sum()) {
		return unchanged, nil
	}
	if row.OverallStatus == model.InViolation && entry.overall != model.InViolation {
		if err := w.announce(ctx, row); err != nil {
			return unchanged, err
		}
	}
	return w.apply(ctx, row, marks)
}

var errNoPod = errors.New("the row names no pod: namespace, name and UID are needed")

// confirmGone asks the API server for a pod that the cache does not have.
func (w *Writer) confirmGone(ctx context.Context, row model.PodVerdict) (outcome, error) {
	pod, err := w.client.Pod(ctx, row.Namespace, row.Name)
	if isGone(err) || err == nil && string(pod.UID) != row.UID {
		return gone, nil
	}
	if err != nil {
		return unchanged, err
	}
	return w.apply(ctx, row, w.marker.of(row))
}

// stands reports whether a pod has these marks: the cache says so, and nothing else was written after what it shows.
func (w *Writer) stands(uid string, cached, wanted uint64) bool {
	w.lock.Lock()
	defer w.lock.Unlock()
	if sent, is := w.sent[uid]; is {
		return sent == wanted
	}
	return cached == wanted
}

// seen notes that the cache shows these marks on a pod.
func (w *Writer) seen(uid string, marks uint64) {
	w.lock.Lock()
	defer w.lock.Unlock()
	if w.sent[uid] == marks {
		delete(w.sent, uid)
	}
}

// forget notes that a pod is gone.
func (w *Writer) forget(uid string) {
	w.lock.Lock()
	defer w.lock.Unlock()
	delete(w.sent, uid)
}

// configuration is what is applied: nothing but metadata. The UID makes the API server refuse another pod of that name.
type configuration struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   metadata `json:"metadata"`
}

type metadata struct {
	Namespace   string            `json:"namespace"`
	Name        string            `json:"name"`
	UID         string            `json:"uid"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// apply writes marks onto a pod and takes away those that were written before and are not among them. A key that
// another manager has written is taken over: only Perceptor says what a hub says.
func (w *Writer) apply(ctx context.Context, row model.PodVerdict, m marks) (outcome, error) {
	body, err := json.Marshal(configuration{APIVersion: "v1", Kind: "Pod", Metadata: metadata{
		Namespace: row.Namespace, Name: row.Name, UID: row.UID, Labels: m.labels, Annotations: m.annotations,
	}})
	if err != nil {
		return unchanged, err
	}
	w.lock.Lock()
	w.sent[row.UID] = m.sum()
	w.lock.Unlock()
	err = w.client.ApplyPod(ctx, row.Namespace, row.Name, body)
	switch {
	case err == nil:
		return written, nil
	case isGone(err):
		w.forget(row.UID)
		return gone, nil
	default:
		// It may have been written all the same.
		w.lock.Lock()
		w.sent[row.UID] = uncertain
		w.lock.Unlock()
		return unchanged, err
	}
}
