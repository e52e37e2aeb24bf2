package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/perceptor/perceptor/internal/perceiver/ownership"
	"github.com/perceptor/perceptor/internal/perceiver/trouble"
	"github.com/perceptor/perceptor/model"
)

// writesAtOnce is how many pods are written to at a time, over all calls. So a pod does not wait long for its turn, and its row
// does not grow old.
const writesAtOnce = 8

// Writer writes what is known of pods onto them. It is safe for concurrent use.
type Writer struct {
	client   Client
	watch    *watch
	marker   marker
	manager  ownership.Manager
	events   *announcer
	troubles *trouble.Book
	logger   *slog.Logger
	// leading reports whether this perceiver may write now.
	leading func() bool
	// remark are the pods whose marks someone else has changed.
	remark *dirty
	places chan struct{}

	lock sync.Mutex
	// sent are the marks that were written and that the cache of pods has not shown yet.
	sent map[string]sending
}

// sending are marks that were sent to a pod at a time.
type sending struct {
	marks uint64
	at    time.Time
}

// sentGoodFor is how long what was sent counts as what stands on a pod, although the cache shows something else: a watch may
// pass over the one change for a later one.
const sentGoodFor = 15 * time.Second

func newWriter(client Client, w *watch, leading func() bool, troubles *trouble.Book, logger *slog.Logger) *Writer {
	if leading == nil {
		leading = func() bool { return true }
	}
	writer := &Writer{
		client: client, watch: w, marker: w.marker, manager: w.manager, logger: logger, leading: leading, troubles: troubles,
		events: newAnnouncer(client, leading, logger), sent: map[string]sending{}, places: make(chan struct{}, writesAtOnce), remark: newDirty(),
	}
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

var (
	errNoPod = errors.New("the row names no pod: namespace, name and UID are needed")
	// errNotLeading says that another perceiver leads, or may lead by now.
	errNotLeading = errors.New("this perceiver does not hold the Lease now; the leader writes")
	errStale      = errors.New("the row was read too long ago; it is read again")
)

// Write brings pods to what is known of them. A pod whose marks say the same already is left alone, and so is what is not of
// interest any more, which counts as gone. Rows that have grown old are read again before they are written. The error is for a
// call in which no pod could be written to at all, and for a perceiver that has stopped to lead.
func (w *Writer) Write(ctx context.Context, uids []string, read func(context.Context, []string) ([]model.PodVerdict, error)) (model.WriteResult, error) {
	rows := &rowReader{read: read, uids: uids}
	if err := rows.refresh(ctx); err != nil {
		return model.WriteResult{}, fmt.Errorf("write verdicts: %w", err)
	}
	var (
		result model.WriteResult
		last   error
		tried  int
		lock   sync.Mutex
		wait   sync.WaitGroup
	)
	for _, uid := range uids {
		w.places <- struct{}{}
		wait.Go(func() {
			defer func() { <-w.places }()
			key, became, err := w.writePod(ctx, uid, rows)
			lock.Lock()
			defer lock.Unlock()
			tried++
			switch {
			case errors.Is(err, errNotLeading):
				last = err
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
	if errors.Is(last, errNotLeading) || !w.leading() {
		return result, fmt.Errorf("write verdicts onto %d pods: %w", tried, errNotLeading)
	}
	if len(result.Failed) > 0 && len(result.Failed) == tried && classOf(last).Temporary() {
		return result, fmt.Errorf("write verdicts onto %d pods: %w", tried, last)
	}
	return result, nil
}

// rowReader holds the rows of one call and reads them again when they have grown old.
type rowReader struct {
	read func(context.Context, []string) ([]model.PodVerdict, error)
	uids []string

	lock sync.Mutex
	rows map[string]model.PodVerdict
	at   time.Time
}

func (r *rowReader) refresh(ctx context.Context) error {
	at := time.Now() // before the question: the answer is at least as new
	rows, err := r.read(ctx, r.uids)
	if err != nil {
		return err
	}
	r.at, r.rows = at, make(map[string]model.PodVerdict, len(rows))
	for _, row := range rows {
		r.rows[row.UID] = row
	}
	return nil
}

// row is what is known of a pod, and when that was read; false where the pod has no row.
func (r *rowReader) row(ctx context.Context, uid string) (model.PodVerdict, time.Time, bool, error) {
	r.lock.Lock()
	defer r.lock.Unlock()
	if !ownership.RowIsFresh(r.at, time.Now()) {
		if err := r.refresh(ctx); err != nil {
			return model.PodVerdict{}, time.Time{}, false, fmt.Errorf("read a row again: %w", err)
		}
	}
	row, known := r.rows[uid]
	return row, r.at, known, nil
}

// staleTries is how often a row that grew old on its way is read again.
const staleTries = 3

func (w *Writer) writePod(ctx context.Context, uid string, rows *rowReader) (model.PodKey, outcome, error) {
	for try := 1; ; try++ {
		row, read, known, err := rows.row(ctx, uid)
		key := model.PodKey{UID: uid, Namespace: row.Namespace, Name: row.Name}
		if err != nil || !known {
			return key, unchanged, err
		}
		became, err := w.writeRow(w.checked(ctx, read), row)
		if errors.Is(err, errStale) && try < staleTries {
			continue
		}
		w.note(ctx, became, err)
		return key, became, err
	}
}

// note keeps the account of writes that are refused.
func (w *Writer) note(ctx context.Context, became outcome, err error) {
	switch {
	case ctx.Err() != nil, errors.Is(err, errNotLeading), errors.Is(err, errStale), errors.Is(err, errNoPod):
	case err != nil:
		w.troubles.Fail(model.TroubleWrite, clip(err.Error(), reasonLength), time.Now())
	case became == written:
		w.troubles.Work(model.TroubleWrite, time.Now())
	}
}

// checked carries the check that is made before each request: this perceiver leads, and the row is fresh.
func (w *Writer) checked(ctx context.Context, read time.Time) context.Context {
	return context.WithValue(ctx, guardKey{}, func() error {
		switch {
		case !w.leading():
			return errNotLeading
		case !read.IsZero() && !ownership.RowIsFresh(read, time.Now()):
			return errStale
		default:
			return nil
		}
	})
}

// allowed makes the check of a context. Requests make it again when they are sent.
func allowed(ctx context.Context) error {
	if check, ok := ctx.Value(guardKey{}).(func() error); ok {
		return check()
	}
	return nil
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
	standing, unseen := w.sentTo(row.UID)
	entry, is := w.watch.entry(row.UID)
	if !is {
		// The cache knows every pod that was reported. Only to be sure, because what is gone is forgotten.
		return w.bring(ctx, row, nil)
	}
	if !w.watch.wants(entry) {
		return gone, nil
	}
	want := w.manager.Want(w.marker.of(row), entry.others)
	if !unseen {
		standing = entry.marks
	}
	if !entry.leftover && standing == sumOfMarks(want) {
		return unchanged, nil
	}
	became, err := w.bring(ctx, row, entry)
	if became == written && row.OverallStatus == model.InViolation && entry.overall != model.InViolation {
		w.events.announce(row)
	}
	return became, err
}

// bringTries is how often a pod is read again that has changed since it was read.
const bringTries = 5

// bring brings a pod to its marks. What the cache shows may be old: then the API server refuses, because the version of the pod
// is part of each write, and the pod is read and judged again. Without an entry it is read first.
func (w *Writer) bring(ctx context.Context, row model.PodVerdict, entry *podEntry) (outcome, error) {
	marks, plan, force, version := w.marker.of(row), ownership.Plan{}, false, ""
	if entry != nil && !entry.leftover {
		plan.Apply, version = w.manager.Want(marks, entry.others), entry.ResourceVersion
	} else {
		entry = nil
	}
	for try := 1; ; try++ {
		if entry == nil || try > 1 {
			pod, err := w.client.Pod(ctx, row.Namespace, row.Name)
			if isGone(err) || err == nil && string(pod.UID) != row.UID {
				w.forget(row.UID)
				return gone, nil
			}
			if err != nil {
				return unchanged, fmt.Errorf("read the pod: %w", err)
			}
			if optedOut(pod.Annotations) {
				return gone, nil
			}
			plan, force, version = w.manager.Plan(&pod.ObjectMeta, marks), true, pod.ResourceVersion
		}
		err := w.send(ctx, metadata{Namespace: row.Namespace, Name: row.Name, UID: row.UID, ResourceVersion: version}, plan, force)
		switch {
		case err == nil:
			return written, nil
		case apierrors.IsConflict(err) && try < bringTries:
		case isGone(err):
			w.forget(row.UID)
			return gone, nil
		default:
			return unchanged, err
		}
	}
}

// sentTo is what was sent to a pod and is not in the cache yet; false where the cache is right. It is asked before the cache is
// read, because what was sent is forgotten when the cache shows it.
func (w *Writer) sentTo(uid string) (uint64, bool) {
	w.lock.Lock()
	defer w.lock.Unlock()
	sent, is := w.sent[uid]
	return sent.marks, is && ownership.Elapsed(sent.at, time.Now()) < sentGoodFor
}

// seen notes what the cache shows on a pod. A change of marks that is not the last one sent is someone else's.
func (w *Writer) seen(before, now *podEntry) {
	uid := string(now.UID)
	w.lock.Lock()
	sent, is := w.sent[uid]
	own := is && sent.marks == now.marks
	if own {
		delete(w.sent, uid)
	}
	w.lock.Unlock()
	if !own && before.UID == now.UID && (now.marks != before.marks || now.leftover && !before.leftover) {
		w.remark.mark(uid)
	}
}

// forget notes that a pod is gone.
func (w *Writer) forget(uid string) {
	w.lock.Lock()
	defer w.lock.Unlock()
	delete(w.sent, uid)
}

func (w *Writer) noteSent(uid string, marks uint64) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.sent[uid] = sending{marks, time.Now()}
}

// configuration is what is applied: nothing but metadata. The UID makes the API server refuse another pod of that name, and the
// version one that has changed.
type configuration struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   metadata `json:"metadata"`
}

type metadata struct {
	Namespace       string            `json:"namespace,omitempty"`
	Name            string            `json:"name,omitempty"`
	UID             string            `json:"uid"`
	ResourceVersion string            `json:"resourceVersion,omitempty"`
	Labels          map[string]string `json:"labels,omitempty"`
	Annotations     map[string]string `json:"annotations,omitempty"`
}

// send applies the marks of a plan onto a pod, and takes away what is left of earlier ones.
func (w *Writer) send(ctx context.Context, pod metadata, plan ownership.Plan, force bool) error {
	applied := pod
	applied.Labels, applied.Annotations = plan.Apply.Labels, plan.Apply.Annotations
	body, err := json.Marshal(configuration{APIVersion: "v1", Kind: "Pod", Metadata: applied})
	if err != nil {
		return fmt.Errorf("encode marks: %w", err)
	}
	if err := allowed(ctx); err != nil {
		return err
	}
	w.noteSent(pod.UID, sumOfMarks(plan.Apply))
	if err := w.client.ApplyPod(ctx, pod.Namespace, pod.Name, w.manager.Name(), force, body); err != nil {
		w.noteSent(pod.UID, uncertain) // it may have been written all the same
		return err
	}
	return removeKeys(ctx, w.client, w.manager.Name(), pod, plan.Remove)
}

// removeKeys takes keys away from a pod, also where another manager owns them.
func removeKeys(ctx context.Context, client Client, manager string, pod metadata, keys []ownership.Key) error {
	if len(keys) == 0 {
		return nil
	}
	labels, annotations := map[string]any{}, map[string]any{}
	for _, k := range keys {
		if k.Label {
			labels[k.Name] = nil
		} else {
			annotations[k.Name] = nil
		}
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": pod.UID, "labels": labels, "annotations": annotations}})
	if err != nil {
		return fmt.Errorf("encode keys: %w", err)
	}
	if err := allowed(ctx); err != nil {
		return err
	}
	return client.PatchPod(ctx, pod.Namespace, pod.Name, manager, patch)
}

// metadataOf is what names a pod in a write.
func metadataOf(o *metav1.ObjectMeta) metadata {
	return metadata{Namespace: o.Namespace, Name: o.Name, UID: string(o.UID)}
}
