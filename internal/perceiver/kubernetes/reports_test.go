package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

// board is a view of pods that a test sets, and a Reporter that keeps what holds on the other side.
type board struct {
	lock    sync.Mutex
	pods    map[string]model.Pod
	refuse  func(model.PodReport) error
	delay   time.Duration // of snapshots
	reports []model.PodReport
	at      []time.Time
	known   map[string]model.Pod
}

func newBoard() *board { return &board{pods: map[string]model.Pod{}, known: map[string]model.Pod{}} }

func (b *board) pod(uid string) (model.Pod, bool) {
	b.lock.Lock()
	defer b.lock.Unlock()
	pod, is := b.pods[uid]
	return pod, is
}

func (b *board) uids() []string {
	b.lock.Lock()
	defer b.lock.Unlock()
	var uids []string
	for uid := range b.pods {
		uids = append(uids, uid)
	}
	return uids
}

func (b *board) Report(ctx context.Context, r model.PodReport) error {
	if r.Snapshot && b.delay > 0 {
		select {
		case <-time.After(b.delay):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	b.lock.Lock()
	defer b.lock.Unlock()
	b.reports, b.at = append(b.reports, r), append(b.at, time.Now())
	if b.refuse != nil {
		if err := b.refuse(r); err != nil {
			return err
		}
	}
	if r.Snapshot {
		b.known = map[string]model.Pod{}
	}
	for _, pod := range r.Pods {
		b.known[pod.UID] = pod
	}
	for _, gone := range r.Gone {
		delete(b.known, gone.UID)
	}
	return nil
}

// set changes pods; an empty image removes one.
func (b *board) set(d *dirty, name, reference string) {
	b.lock.Lock()
	if reference == "" {
		delete(b.pods, name)
	} else {
		b.pods[name] = model.Pod{UID: name, Namespace: "n", Name: name, Containers: []model.Container{{Name: "c", Reference: reference}}}
	}
	b.lock.Unlock()
	d.mark(name)
}

func (b *board) refuseWith(refuse func(model.PodReport) error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	b.refuse = refuse
}

func (b *board) received() []model.PodReport {
	b.lock.Lock()
	defer b.lock.Unlock()
	return append([]model.PodReport(nil), b.reports...)
}

// knows is what a receiver of the reports knows of the pods.
func (b *board) knows() map[string]model.Pod {
	b.lock.Lock()
	defer b.lock.Unlock()
	return maps.Clone(b.known)
}

// inBubble runs reports over a board with a clock of its own.
func inBubble(t *testing.T, b *board, test func(d *dirty)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := newDirty()
		head := model.PodReport{Cluster: "c", Domain: "eu", WriteBack: true, Version: model.Version{Epoch: 7}}
		r := newReports(b, b, d, head, time.Hour, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); r.run(ctx) }()
		synctest.Wait()
		test(d)
		cancel()
		<-done
		reports := b.received()
		for i := 1; i < len(reports); i++ {
			require.NotEqual(t, reports[i-1].Version, reports[i].Version)
			require.Equal(t, int64(7), reports[i].Version.Epoch)
			require.Equal(t, "eu", reports[i].Domain)
			require.True(t, reports[i].WriteBack)
		}
	})
}

func TestASnapshotAtTheStartAndByInterval(t *testing.T) {
	b := newBoard()
	b.pods["a"] = model.Pod{UID: "a", Namespace: "n", Name: "a"}
	inBubble(t, b, func(*dirty) {
		require.Len(t, b.received(), 1)
		require.True(t, b.received()[0].Snapshot)
		require.Equal(t, model.Version{Epoch: 7, Counter: 1}, b.received()[0].Version)
		require.Len(t, b.received()[0].Pods, 1)
		time.Sleep(59 * time.Minute)
		require.Len(t, b.received(), 1)
		time.Sleep(2 * time.Minute)
		require.Len(t, b.received(), 2)
		require.Len(t, b.received()[1].Pods, 1)
	})
}

func TestAnEmptyClusterIsReportedToo(t *testing.T) {
	b := newBoard()
	inBubble(t, b, func(*dirty) {
		require.Len(t, b.received(), 1)
		require.True(t, b.received()[0].Snapshot)
	})
}

func TestChangesAreGathered(t *testing.T) {
	b := newBoard()
	inBubble(t, b, func(d *dirty) {
		time.Sleep(time.Second)
		began := time.Now()
		for i := range 100 {
			b.set(d, fmt.Sprintf("p%d", i), "app:1")
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		require.Equal(t, 100, len(b.knows()))
		changes := b.received()[1:]
		require.LessOrEqual(t, len(changes), 4, "one at once, then one for each half second")
		require.LessOrEqual(t, b.at[1].Sub(began), 2*settleTime, "the first of them at once")
		for i := 2; i < len(b.at); i++ {
			require.GreaterOrEqual(t, b.at[i].Sub(b.at[i-1]), gatherTime)
		}
	})
}

func TestTwoHundredChangesDoNotWait(t *testing.T) {
	b := newBoard()
	inBubble(t, b, func(d *dirty) {
		b.set(d, "first", "app:1")
		time.Sleep(settleTime)
		began := time.Now()
		var names []string
		for i := range 2*gatherCount + 1 {
			names = append(names, fmt.Sprintf("p%d", i))
			b.set(newDirty(), names[i], "app:1")
		}
		d.mark(names...)
		synctest.Wait()
		require.Equal(t, 2*gatherCount+2, len(b.knows()))
		require.Equal(t, time.Duration(0), b.at[len(b.at)-1].Sub(began))
		for _, r := range b.received() {
			require.LessOrEqual(t, len(r.Pods)+len(r.Gone), gatherCount)
		}
	})
}

func TestWhatDidNotChangeIsNotReportedAgain(t *testing.T) {
	b := newBoard()
	inBubble(t, b, func(d *dirty) {
		b.set(d, "a", "app:1")
		b.set(d, "b", "app:1")
		time.Sleep(time.Second)
		before := len(b.received())
		d.mark("a", "b", "unknown")
		time.Sleep(time.Second)
		require.Len(t, b.received(), before, "a relist is no storm")
		b.set(d, "a", "app:2")
		d.mark("b")
		time.Sleep(time.Second)
		last := b.received()[before]
		require.Len(t, b.received(), before+1)
		require.Len(t, last.Pods, 1)
		require.Equal(t, "app:2", last.Pods[0].Containers[0].Reference)
	})
}

func TestPodsThatAreGone(t *testing.T) {
	b := newBoard()
	inBubble(t, b, func(d *dirty) {
		b.set(d, "a", "app:1")
		time.Sleep(time.Second)
		b.set(d, "a", "")
		b.set(d, "short", "app:1")
		b.set(d, "short", "")
		time.Sleep(time.Second)
		last := b.received()[len(b.received())-1]
		require.Equal(t, []model.PodKey{{UID: "a", Namespace: "n", Name: "a"}}, last.Gone, "one that was never reported is not gone")
		require.Empty(t, last.Pods)
		require.Empty(t, b.knows())
	})
}

func TestAPlatformOnceKnownStays(t *testing.T) {
	b := newBoard()
	on := func(architecture string) {
		b.lock.Lock()
		defer b.lock.Unlock()
		b.pods["a"] = model.Pod{UID: "a", Platform: model.Platform{Architecture: architecture}}
	}
	inBubble(t, b, func(d *dirty) {
		on("arm64")
		d.mark("a")
		time.Sleep(time.Second)
		before := len(b.received())
		on("")
		d.mark("a")
		time.Sleep(time.Second)
		require.Len(t, b.received(), before)
	})
}

func TestFailedReportsAreMadeAgainAndMerged(t *testing.T) {
	b := newBoard()
	inBubble(t, b, func(d *dirty) {
		b.set(d, "kept", "app:1")
		b.set(d, "ends", "app:1")
		time.Sleep(time.Second)
		b.refuseWith(func(model.PodReport) error { return errors.New("no one answers") })
		b.set(d, "kept", "app:2")
		time.Sleep(5 * time.Second)
		b.set(d, "kept", "app:3")
		b.set(d, "new", "app:1")
		b.set(d, "ends", "")
		b.set(d, "short", "app:1")
		time.Sleep(time.Minute)
		b.set(d, "short", "")
		failed := len(b.received())
		require.Less(t, failed, 20, "it is not tried all the time")
		b.refuseWith(nil)
		time.Sleep(longestPause + longestPause/10 + time.Second)
		require.Equal(t, 2, len(b.knows()))
		require.Equal(t, "app:3", b.knows()["kept"].Containers[0].Reference)
		require.Contains(t, b.knows(), "new")
	})
}

func TestOnePodThatCannotBeReportedHoldsUpNoOther(t *testing.T) {
	b := newBoard()
	inBubble(t, b, func(d *dirty) {
		b.refuseWith(func(r model.PodReport) error {
			for _, pod := range r.Pods {
				if pod.Name == "bad" {
					return errors.New("bad")
				}
			}
			return nil
		})
		b.set(d, "bad", "app:1")
		for i := range 300 {
			b.set(d, fmt.Sprintf("p%d", i), "app:1")
		}
		time.Sleep(30 * time.Minute)
		require.Equal(t, 300, len(b.knows()))
	})
}

func TestAFailedFirstSnapshotIsMadeAgain(t *testing.T) {
	b := newBoard()
	for i := range 500 {
		name := fmt.Sprintf("p%d", i)
		b.pods[name] = model.Pod{UID: name, Name: name}
	}
	b.refuse = func(model.PodReport) error { return errors.New("no one answers") }
	inBubble(t, b, func(d *dirty) {
		d.mark(b.uids()...)
		time.Sleep(5 * time.Minute)
		b.refuseWith(func(r model.PodReport) error {
			if r.Snapshot {
				return errors.New("too much at once")
			}
			return nil
		})
		time.Sleep(5 * time.Minute)
		require.Equal(t, 500, len(b.knows()), "what snapshots do not bring is reported by itself")
		b.refuseWith(nil)
		time.Sleep(time.Minute)
		last := b.received()[len(b.received())-1]
		require.True(t, last.Snapshot)
		require.Len(t, last.Pods, 500)
	})
}

func TestChangesOvertakeASlowSnapshot(t *testing.T) {
	b := newBoard()
	b.pods["old"] = model.Pod{UID: "old", Name: "old"}
	b.delay = time.Minute
	inBubble(t, b, func(d *dirty) {
		b.set(d, "new", "app:1")
		b.set(d, "old", "")
		time.Sleep(time.Second)
		require.Len(t, b.received(), 1)
		require.Equal(t, int64(2), b.received()[0].Version.Counter, "newer than the snapshot under way")
		require.Len(t, b.received()[0].Pods, 1)
		require.Len(t, b.received()[0].Gone, 1, "the snapshot may bring it, so its end is said")
	})
}

func TestAStormBecomesASnapshot(t *testing.T) {
	b := newBoard()
	inBubble(t, b, func(d *dirty) {
		b.lock.Lock()
		for i := range dirtyAtMost + 1 {
			name := fmt.Sprintf("p%d", i)
			b.pods[name] = model.Pod{UID: name, Name: name}
		}
		b.lock.Unlock()
		d.mark(b.uids()...)
		time.Sleep(time.Second)
		require.Len(t, b.received(), 2)
		require.True(t, b.received()[1].Snapshot)
		require.Equal(t, dirtyAtMost+1, len(b.knows()))
	})
}
