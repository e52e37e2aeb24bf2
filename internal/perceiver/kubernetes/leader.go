package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/perceptor/perceptor/internal/perceiver/ownership"
)

// LeaseName is the Lease, in the perceiver's own namespace, that the working one of several perceivers holds.
const LeaseName = "perceptor-perceiver"

// What Kubernetes' own components use: a dead leader is replaced within leaseFor, and one that cannot reach the API server
// gives up before another may begin.
const (
	leaseFor   = 15 * time.Second
	renewFor   = 10 * time.Second
	renewEvery = 2 * time.Second
)

// lead works whenever this perceiver holds the Lease, until ctx ends. Two may believe for a moment that they lead; every term
// has an epoch of its own, and what an older one still reports is passed over.
func (p *Perceiver) lead(ctx context.Context) error {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("perceiver: name this candidate: %w", err)
	}
	lock := &notedLock{LeaseLock: &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: p.options.Client.Namespace(), Name: LeaseName},
		Client:     p.options.Client.Leases(),
		LockConfig: resourcelock.ResourceLockConfig{Identity: host + "_" + uuid.NewString()},
	}}
	p.options.Logger.Info("standing by", "lease", lock.Describe(), "identity", lock.Identity())
	for ctx.Err() == nil {
		if err := p.term(ctx, lock); err != nil {
			return err
		}
	}
	return nil
}

// notedLock is a Lease that remembers when it was last taken or renewed. A leader that was frozen learns from it that another may
// lead by now, before its elector does.
type notedLock struct {
	*resourcelock.LeaseLock
	renewed atomic.Pointer[time.Time]
	// holder is who had the Lease when it was last read.
	holder atomic.Pointer[string]
}

// errOtherHolds is a Lease that is not given back because another one holds it by now.
var errOtherHolds = errors.New("another perceiver holds the lease, so it is not given back")

// Get reads the Lease.
func (l *notedLock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := l.LeaseLock.Get(ctx)
	if err == nil {
		l.holder.Store(&record.HolderIdentity)
	}
	return record, raw, err
}

// Create takes the Lease where there is none.
func (l *notedLock) Create(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	return l.note(r, func() error { return l.LeaseLock.Create(ctx, r) })
}

// Update takes, renews or gives back the Lease. The elector of a leader that was frozen reads the Lease before it gives it back, and does
// not look at who holds it: the one that leads meanwhile would lose it.
func (l *notedLock) Update(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	if holder := l.holder.Load(); r.HolderIdentity == "" && holder != nil && *holder != l.Identity() {
		l.renewed.Store(nil)
		return errOtherHolds
	}
	return l.note(r, func() error { return l.LeaseLock.Update(ctx, r) })
}

// note remembers the time before the request: the Lease is held at least from then on.
func (l *notedLock) note(r resourcelock.LeaderElectionRecord, do func() error) error {
	now := time.Now()
	err := do()
	switch {
	case r.HolderIdentity != l.Identity():
		l.renewed.Store(nil)
	case err == nil:
		l.renewed.Store(&now)
	}
	return err
}

// mayWrite reports whether the Lease is surely held now.
func (l *notedLock) mayWrite() bool {
	renewed := l.renewed.Load()
	return renewed != nil && ownership.MayWrite(*renewed, time.Now(), leaseFor)
}

// term waits for the Lease, works while it is held, and returns when that is over.
func (p *Perceiver) term(ctx context.Context, lock *notedLock) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// The elector starts the work in a goroutine of its own; the owner of the lock knows that it is over or will not begin.
	var working sync.Mutex
	var failed error
	work := func(ctx context.Context) {
		working.Lock()
		defer working.Unlock()
		if ctx.Err() != nil {
			return
		}
		p.options.Logger.Info("leading")
		if failed = p.workOn(ctx, lock.mayWrite); failed != nil {
			cancel()
		}
	}
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: lock, LeaseDuration: leaseFor, RenewDeadline: renewFor, RetryPeriod: renewEvery, ReleaseOnCancel: true, Name: LeaseName,
		Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: work, OnStoppedLeading: func() {}},
	})
	if err != nil {
		return fmt.Errorf("perceiver: leader election: %w", err)
	}
	elector.Run(ctx)
	working.Lock()
	defer working.Unlock()
	return failed
}
