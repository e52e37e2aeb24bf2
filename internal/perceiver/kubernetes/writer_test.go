package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/perceptor/perceptor/model"
)

// written is a perceiver of a fake cluster that writes, and the patches it sent.
type writing struct {
	*Writer
	client  *fake.Clientset
	test    *testing.T
	patches atomic.Int32
	refuse  atomic.Pointer[error]
}

func writeTo(t *testing.T, client *fake.Clientset, s Selection) *writing {
	t.Helper()
	w := &writing{client: client, test: t}
	client.PrependReactor("patch", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		w.patches.Add(1)
		if err := w.refuse.Load(); err != nil {
			return true, nil, *err
		}
		return false, nil, nil
	})
	writers := make(chan *Writer, 1)
	perceiver, err := New(Options{
		Cluster: "c", Client: fakeClient{client}, Reporter: newBoard(), Selection: s, SnapshotInterval: time.Hour,
		Serve: func(ctx context.Context, writer *Writer) {
			writers <- writer
			<-ctx.Done()
		},
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- perceiver.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	w.Writer = <-writers
	return w
}

func (w *writing) write(rows ...model.PodVerdict) model.WriteResult {
	w.test.Helper()
	result, err := w.try(w.test.Context(), rows...)
	require.NoError(w.test, err)
	return result
}

// try writes rows that are always read as they are.
func (w *writing) try(ctx context.Context, rows ...model.PodVerdict) (model.WriteResult, error) {
	var uids []string
	for _, row := range rows {
		uids = append(uids, row.UID)
	}
	return w.Write(ctx, uids, func(context.Context, []string) ([]model.PodVerdict, error) { return rows, nil })
}

func (w *writing) pod(namespace, name string) *corev1.Pod {
	w.test.Helper()
	pod, err := w.client.CoreV1().Pods(namespace).Get(w.test.Context(), name, metav1.GetOptions{})
	require.NoError(w.test, err)
	return pod
}

func (w *writing) events(namespace string) []corev1.Event {
	w.test.Helper()
	events, err := w.client.CoreV1().Events(namespace).List(w.test.Context(), metav1.ListOptions{})
	require.NoError(w.test, err)
	return events.Items
}

var (
	clean = verdictOn("r.example/a:1", model.NotInViolation, 0, 1)
	bad   = verdictOn("r.example/b:1", model.InViolation, 2, 5)
)

func TestVerdictsAreWrittenOnceAndFollowChanges(t *testing.T) {
	pod := podOf("a", "one", "r.example/a:1")
	pod.Labels = map[string]string{"app": "web"}
	w := writeTo(t, fake.NewClientset(pod), Selection{})
	require.Equal(t, model.WriteResult{Written: 1}, w.write(rowOf(clean, clean)))
	require.Equal(t, "NOT_IN_VIOLATION", w.pod("a", "one").Labels["pod.overall-status"])
	require.Equal(t, "web", w.pod("a", "one").Labels["app"])
	require.Equal(t, model.WriteResult{Unchanged: 1}, w.write(rowOf(clean, clean)), "also before the cache shows it")
	require.Eventually(t, func() bool { return len(w.sentNow()) == 0 }, soon, time.Millisecond, "the cache shows what was written")
	require.Equal(t, model.WriteResult{Unchanged: 1}, w.write(rowOf(clean, clean)))
	require.EqualValues(t, 1, w.patches.Load())
	require.Empty(t, w.events("a"))

	require.Equal(t, model.WriteResult{Written: 1}, w.write(rowOf(bad)))
	now := w.pod("a", "one")
	require.Equal(t, "IN_VIOLATION", now.Labels["pod.overall-status"])
	require.NotContains(t, now.Labels, "image1", "keys of a deleted container are taken away")
	require.NotContains(t, now.Annotations, "image1.vulnerabilities")
	require.Equal(t, "web", now.Labels["app"])
	require.Eventually(t, func() bool { return len(w.events("a")) == 1 }, soon, time.Millisecond)
	require.Eventually(t, func() bool { return len(w.sentNow()) == 0 }, soon, time.Millisecond)
	require.Equal(t, model.WriteResult{Written: 1}, w.write(rowOf(bad, unscanned("r.example/c:1"))))
	require.Len(t, w.events("a"), 1, "it was in violation before")

	require.Eventually(t, func() bool { return len(w.sentNow()) == 0 }, soon, time.Millisecond)
	changed := w.pod("a", "one")
	changed.Labels["pod.overall-status"] = "NOT_IN_VIOLATION"
	_, err := w.client.CoreV1().Pods("a").Update(t.Context(), changed, metav1.UpdateOptions{FieldManager: "another"})
	require.NoError(t, err)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		_, err := w.try(t.Context(), rowOf(bad, unscanned("r.example/c:1")))
		require.NoError(c, err)
		require.Equal(c, "IN_VIOLATION", w.pod("a", "one").Labels["pod.overall-status"], "what another manager wrote is taken over")
	}, soon, 10*time.Millisecond)
}

func (w *writing) sentNow() map[string]sending {
	w.lock.Lock()
	defer w.lock.Unlock()
	return maps.Clone(w.sent)
}

func TestPodsThatAreNotThere(t *testing.T) {
	quiet := podOf("a", "quiet", "app")
	quiet.Annotations = map[string]string{OptOut: "true"}
	w := writeTo(t, fake.NewClientset(podOf("a", "one", "app"), quiet, podOf("out", "two", "app")), Selection{ExcludedNamespaces: []string{"out"}})
	at := func(namespace, name, uid string) model.PodVerdict {
		row := rowOf(clean)
		row.Namespace, row.Name, row.UID = namespace, name, uid
		return row
	}
	result := w.write(at("a", "one", "another"), at("a", "missing", "uid"), at("a", "quiet", "uid-a-quiet"), at("out", "two", "uid-out-two"))
	require.Len(t, result.Gone, 4)
	require.Zero(t, w.patches.Load())
	bare := rowOf(clean)
	bare.Bare, bare.UID = true, "x"
	require.Equal(t, model.WriteResult{Unchanged: 1}, w.write(bare))
	result = w.write(at("a", "one", ""), at("a", "one", "uid-a-one"))
	require.Equal(t, 1, result.Written)
	require.Equal(t, model.Invalid, result.Failed[0].Class)
}

func TestAPodTheCacheDoesNotHaveYet(t *testing.T) {
	client := fake.NewClientset()
	w := writeTo(t, client, Selection{})
	client.PrependReactor("get", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, podOf("a", "one", "app"), nil
	})
	result := w.write(rowOf(clean))
	require.Empty(t, result.Gone, "what the API server has is not gone")
}

func TestRefusals(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	for _, row := range []struct {
		err   error
		class model.FailureClass
		whole bool
	}{
		{apierrors.NewForbidden(pods, "one", errors.New("no role")), model.Unauthorized, false},
		{apierrors.NewUnauthorized("who"), model.Unauthorized, false},
		{apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, "one", nil), model.Invalid, false},
		{apierrors.NewRequestEntityTooLargeError("big"), model.Invalid, false},
		{apierrors.NewTooManyRequests("slow", 1), model.Throttled, true},
		{apierrors.NewInternalError(errors.New("etcd")), model.Transient, true},
		{errors.New("connection refused"), model.Transient, true},
	} {
		t.Run(fmt.Sprint(row.err), func(t *testing.T) {
			w := writeTo(t, fake.NewClientset(podOf("a", "one", "app")), Selection{})
			w.refuse.Store(&row.err)
			result, err := w.try(t.Context(), rowOf(clean))
			require.Equal(t, row.whole, err != nil, "an error is for what passes and holds for all")
			require.Len(t, result.Failed, 1)
			require.Equal(t, row.class, result.Failed[0].Class)
			require.LessOrEqual(t, len(result.Failed[0].Reason), reasonLength)
			w.refuse.Store(nil)
			require.Equal(t, model.WriteResult{Written: 1}, w.write(rowOf(clean)))
		})
	}
}

func TestAPodThatVanishesOrIsReplacedMeanwhile(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	immutable := field.ErrorList{field.Invalid(field.NewPath("metadata", "uid"), "x", "field is immutable")}
	for _, err := range []error{
		apierrors.NewNotFound(pods, "one"), apierrors.NewConflict(pods, "one", errors.New("uid mismatch")),
		apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, "one", immutable),
	} {
		w := writeTo(t, fake.NewClientset(podOf("a", "one", "app")), Selection{})
		w.refuse.Store(&err)
		require.Equal(t, []model.PodKey{{UID: "uid-a-one", Namespace: "a", Name: "one"}}, w.write(rowOf(clean)).Gone)
	}
}

// TestEventsThatCannotBeWritten: an Event that is throttled is tried again, and one that is refused is left out. Neither delays the
// labels.
func TestEventsThatCannotBeWritten(t *testing.T) {
	for _, refusal := range []error{
		errors.New("connection refused"), apierrors.NewTooManyRequests("slow", 1),
		apierrors.NewForbidden(schema.GroupResource{Resource: "events"}, "", errors.New("no role")),
	} {
		client := fake.NewClientset(podOf("a", "one", "app"))
		var tried atomic.Int32
		client.PrependReactor("create", "events", func(clienttesting.Action) (bool, runtime.Object, error) {
			return tried.Add(1) == 1, nil, refusal
		})
		w := writeTo(t, client, Selection{})
		began := time.Now()
		require.Equal(t, model.WriteResult{Written: 1}, w.write(rowOf(bad)))
		require.Less(t, time.Since(began), eventPause, "the label does not wait for the Event")
		require.Eventually(t, func() bool { return tried.Load() >= 1 }, soon, time.Millisecond)
		if classOf(refusal).Temporary() {
			require.Eventually(t, func() bool { return len(w.events("a")) == 1 }, soon, 10*time.Millisecond, "what passes is tried again")
		}
	}
}

// TestOnlyTheLeaderWrites: leadership is checked before each write, and rows that have grown old are read again.
func TestOnlyTheLeaderWrites(t *testing.T) {
	w := writeTo(t, fake.NewClientset(podOf("a", "one", "app")), Selection{})
	var leads atomic.Bool
	w.leading = leads.Load
	_, err := w.try(t.Context(), rowOf(clean))
	require.ErrorIs(t, err, errNotLeading, "so that the step is given to another")
	require.Zero(t, w.patches.Load())
	leads.Store(true)
	require.Equal(t, model.WriteResult{Written: 1}, w.write(rowOf(clean)))

	rows := &rowReader{uids: []string{"uid-a-one"}}
	reads := 0
	rows.read = func(context.Context, []string) ([]model.PodVerdict, error) {
		reads++
		return []model.PodVerdict{rowOf(bad)}, nil
	}
	rows.at = time.Now().Add(-time.Minute)
	rows.rows = map[string]model.PodVerdict{"uid-a-one": rowOf(clean)}
	_, became, err := w.writePod(t.Context(), "uid-a-one", rows)
	require.NoError(t, err)
	require.Equal(t, written, became)
	require.Equal(t, 1, reads, "the row from before the pause is not written")
	require.Equal(t, "IN_VIOLATION", w.pod("a", "one").Labels["pod.overall-status"])
}

func TestKeysOfOthersAndMarksThatWereChanged(t *testing.T) {
	pod := podOf("a", "one", "app")
	client := fake.NewClientset()
	made := pod.DeepCopy()
	made.Labels = map[string]string{"pod.vulnerabilities": "mine"}
	_, err := client.CoreV1().Pods("a").Create(t.Context(), made, metav1.CreateOptions{FieldManager: "user"})
	require.NoError(t, err)
	w := writeTo(t, client, Selection{})
	// The API server refuses to take a key of another without force; client-go's fake cluster does the same.
	require.Equal(t, model.WriteResult{Written: 1}, w.write(rowOf(clean)))
	now := w.pod("a", "one")
	require.Equal(t, "mine", now.Labels["pod.vulnerabilities"], "what a user had first stays")
	require.Equal(t, "1", now.Annotations["pod.vulnerabilities"])
	require.Equal(t, "label pod.vulnerabilities", now.Annotations[othersAnnotation(now)])
	require.Equal(t, "NOT_IN_VIOLATION", now.Labels["pod.overall-status"])

	// What was written here and then changed is put right, also by another process that knows nothing of it.
	delete(now.Labels, "image0")
	now.Labels["pod.overall-status"] = "IN_VIOLATION"
	_, err = client.CoreV1().Pods("a").Update(t.Context(), now, metav1.UpdateOptions{FieldManager: "user"})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return w.remark.count() == 1 }, soon, time.Millisecond, "the change is noticed")
	require.Equal(t, model.WriteResult{Written: 1}, w.write(rowOf(clean)))
	now = w.pod("a", "one")
	require.Equal(t, "NOT_IN_VIOLATION", now.Labels["pod.overall-status"])
	require.Equal(t, "a", now.Labels["image0"])
	require.Equal(t, "mine", now.Labels["pod.vulnerabilities"])

	// Everything is taken away, and the user's key stays.
	removed, err := RemoveMarks(t.Context(), fakeClient{client}, "c", slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.Equal(t, 1, removed)
	now = w.pod("a", "one")
	require.Equal(t, map[string]string{"pod.vulnerabilities": "mine"}, now.Labels)
	require.Empty(t, now.Annotations)
	removed, err = RemoveMarks(t.Context(), fakeClient{client}, "c", slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.Zero(t, removed)
}

func othersAnnotation(p *corev1.Pod) string {
	for key := range p.Annotations {
		if strings.HasPrefix(key, "perceptor/keys-of-others-") {
			return key
		}
	}
	return ""
}

func TestAnOptOutTakesTheMarksAway(t *testing.T) {
	client := fake.NewClientset(namespaceOf("a", nil), podOf("a", "one", "app"))
	w := writeTo(t, client, Selection{})
	require.Equal(t, model.WriteResult{Written: 1}, w.write(rowOf(clean)))
	namespace := namespaceOf("a", nil)
	namespace.Annotations = map[string]string{OptOut: "true"}
	_, err := client.CoreV1().Namespaces().Update(t.Context(), namespace, metav1.UpdateOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(w.pod("a", "one").Labels) == 0 && len(w.pod("a", "one").Annotations) == 0 }, soon, 10*time.Millisecond)
	require.Equal(t, []model.PodKey{{UID: "uid-a-one", Namespace: "a", Name: "one"}}, w.write(rowOf(clean)).Gone)
}

func TestACallThatEnds(t *testing.T) {
	w := writeTo(t, fake.NewClientset(podOf("a", "one", "app")), Selection{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := w.try(ctx, rowOf(clean))
	require.ErrorIs(t, err, context.Canceled)
}

func TestManyPodsAreWrittenTo(t *testing.T) {
	var objects []runtime.Object
	var rows []model.PodVerdict
	for i := range 200 {
		name := fmt.Sprintf("p%d", i)
		objects = append(objects, podOf("a", name, "app"))
		row := rowOf(clean)
		row.Name, row.UID = name, "uid-a-"+name
		rows = append(rows, row)
	}
	w := writeTo(t, fake.NewClientset(objects...), Selection{})
	require.Equal(t, model.WriteResult{Written: 200}, w.write(rows...))
	require.Equal(t, model.WriteResult{Unchanged: 200}, w.write(rows...))
}

func TestObserveOnlyServesNothing(t *testing.T) {
	b := newBoard()
	perceiver, err := New(Options{
		Cluster: "c", Client: fakeClient{fake.NewClientset()}, Reporter: b, ObserveOnly: true,
		Serve: func(context.Context, *Writer) { panic("nothing is to be written") },
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- perceiver.Run(ctx) }()
	require.Eventually(t, func() bool { return len(b.received()) == 1 }, soon, time.Millisecond)
	cancel()
	require.NoError(t, <-done)
	require.False(t, b.received()[0].WriteBack)
}
