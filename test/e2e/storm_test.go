//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/fault"
	"github.com/perceptor/perceptor/internal/rig"
)

// What the storm does, and how often.
const (
	killEvery      = 5 * time.Second
	terminateEvery = 8 * time.Second
	burstEvery     = 15 * time.Second
	// terminateAtMost is how often the scans of one image are terminated.
	terminateAtMost = 3
	deadFor         = time.Minute
	// stormBound ends the test whatever happens.
	stormBound = 50 * time.Minute
	// leftBound is how long workspaces and leases may take to be free after the last scan: two rounds of the sweepers, and more
	// than the fence of an upload.
	leftBound = 3 * time.Minute
)

// storm is what happens to the workers, the scans and one hub while images are scanned.
type storm struct {
	*system
	t    *testing.T
	ctx  context.Context
	lock sync.Mutex
	done map[string]int
	// dead is closed when the hub is to die once.
	dead chan struct{}
}

// TestHubsInAStorm scans images through two hubs by four workers, one of which is killed every five seconds, while scans
// are terminated at random and one hub answers 429 and 5xx in bursts and is dead for a minute. Only the hubs and the pool
// are asked how it went.
func TestHubsInAStorm(t *testing.T) {
	rig.Wanted(t, rig.EnvLong)
	b := startSystem(t)
	number := rig.ImagesWanted(t, 1000)
	// Long enough that the leases are what the images wait for, not the processors of this machine.
	base := rig.SlowFaults(b.Seed, 2*time.Second, 8*time.Second)
	b.Hubs = []*rig.HubProcess{rig.StartHub(t, b.System, "three", 3, base), rig.StartHub(t, b.System, "five", 5, base)}
	b.Configure(t, rig.QuickScanners(time.Second))
	b.PushImages(t, number)
	b.StartWorkers(t, 4)
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), stormBound)
	defer cancel()
	b.ObserveAll(t)
	calm := b.startStorm(ctx, t, base)
	b.AwaitComplete(ctx, t, number, calm.dieAt(number/4))
	calm.end()
	t.Logf("all complete after %s; meanwhile %v", time.Since(began).Round(time.Second), calm.done)
	b.judge(t, number)
}

// stormControl ends a storm.
type stormControl struct {
	*storm
	cancel context.CancelFunc
	parts  *sync.WaitGroup
	died   bool
}

func (b *system) startStorm(ctx context.Context, t *testing.T, base fault.Faults) *stormControl {
	ctx, cancel := context.WithCancel(ctx)
	s := &storm{system: b, t: t, ctx: ctx, done: map[string]int{}, dead: make(chan struct{})}
	c := &stormControl{storm: s, cancel: cancel, parts: &sync.WaitGroup{}}
	c.parts.Go(s.killWorkers)
	c.parts.Go(s.terminateScans)
	c.parts.Go(func() { s.troubleHub(b.Hubs[1], base) })
	t.Cleanup(c.end)
	return c
}

// dieAt lets the hub die for its minute once that many images are complete.
func (c *stormControl) dieAt(number int) func(complete int) {
	return func(complete int) {
		if complete >= number && !c.died {
			c.died = true
			close(c.dead)
		}
	}
}

// end calms the storm and waits until every part of it has ended.
func (c *stormControl) end() {
	c.cancel()
	c.parts.Wait()
}

func (s *storm) note(what string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.done[what]++
}

// pause passes the time between two blows; false when the storm is over.
func (s *storm) pause(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-s.ctx.Done():
		return false
	}
}

// killWorkers ends a random worker as a power cut would, and starts it again.
func (s *storm) killWorkers() {
	random := s.Random(1)
	for s.pause(killEvery) {
		i := random.IntN(len(s.Workers))
		if err := s.Workers[i].Process.Kill(); err != nil {
			s.t.Errorf("kill worker %d: %v", i, err)
		}
		<-s.Workers[i].Ended
		p, err := s.LaunchWorker(i)
		if err != nil {
			s.t.Errorf("start worker %d again: %v", i, err)
			return
		}
		s.Workers[i] = p
		s.note("kills")
	}
}

// terminateScans terminates a random open scan, as a click in Web UI does.
func (s *storm) terminateScans() {
	random, times := s.Random(2), map[string]int{}
	for s.pause(terminateEvery) {
		open, err := s.Starter.Scans.ListOpen(s.ctx)
		if err != nil || len(open) == 0 {
			continue
		}
		// Only some of the scans have come further than the backlog, and those are worth more.
		victim := open[random.IntN(len(open))].WorkflowID
		if status, err := s.Starter.Pool.Status(s.ctx); err == nil && len(status.Leases) > 0 && random.IntN(2) == 0 {
			victim = status.Leases[random.IntN(len(status.Leases))].Holder
		}
		// The last few images must not be hit for ever.
		if times[victim]++; times[victim] > terminateAtMost {
			continue
		}
		if err := s.Client.TerminateWorkflow(s.ctx, victim, "", "storm"); err == nil {
			s.note("terminations")
		}
	}
}

// troubleHub lets a hub refuse and fail in bursts, and be dead once.
func (s *storm) troubleHub(h *rig.HubProcess, base fault.Faults) {
	random, dead := s.Random(3), s.dead
	for {
		select {
		case <-dead:
			dead = nil
			s.set(h, rig.WithFault(base, fault.Dead, fault.Switch{For: fault.Duration(deadFor)}), "dead")
			if !s.pause(deadFor) {
				return
			}
		case <-time.After(burstEvery):
			s.set(h, burst(base, random), "bursts")
		case <-s.ctx.Done():
			if err := h.SetFaults(context.WithoutCancel(s.ctx), base); err != nil {
				s.t.Errorf("calm hub %s: %v", h.Name, err)
			}
			return
		}
	}
}

func (s *storm) set(h *rig.HubProcess, f fault.Faults, what string) {
	if err := h.SetFaults(s.ctx, f); err != nil && s.ctx.Err() == nil {
		s.t.Errorf("set hub %s: %v", h.Name, err)
	}
	s.note(what)
}

// burst is a few seconds of 429, with and without Retry-After, or of 5xx.
func burst(base fault.Faults, random *rand.Rand) fault.Faults {
	share := 0.3 + 0.7*random.Float64()
	f := fault.Switch{Share: &share, For: fault.Duration(time.Second * time.Duration(2+random.IntN(4)))}
	switch random.IntN(4) {
	case 0:
		return rig.WithFault(base, fault.Throttle, f)
	case 1:
		f.RetryAfter, f.AsDate = fault.Duration(time.Second*time.Duration(1+random.IntN(3))), random.IntN(2) == 0
		return rig.WithFault(base, fault.Throttle, f)
	default:
		f.Status = []int{500, 502, 503, 504}[random.IntN(4)]
		return rig.WithFault(base, fault.Fail, f)
	}
}

// judge asks the hubs and the pool.
func (b *system) judge(t *testing.T, number int) {
	t.Helper()
	leaked := -1
	deadline := time.Now().Add(leftBound)
	for leaked != 0 && time.Now().Before(deadline) {
		time.Sleep(time.Second)
		leaked = b.left(t)
	}
	scans, line, wrong := b.scans(t)
	b.LogLeases(t)
	complete := b.CountComplete(t)
	result := fmt.Sprintf("hub e2e: %d complete, %d scans, max %s, %d leaked", complete, scans, line, leaked)
	if leaked != 0 {
		b.Explain(t)
	}
	require.Empty(t, wrong)
	require.Equal(t, fmt.Sprintf("hub e2e: %d complete, %d scans, max 3/3 5/5, 0 leaked", number, number), result)
	rig.AnnounceResult(t, result)
}

// left counts what must be gone: leases, waiters, workspaces and scan clients.
func (b *system) left(t *testing.T) int {
	t.Helper()
	status, err := b.Starter.Pool.Status(context.Background())
	if err != nil {
		return -1
	}
	workspaces, err := filepath.Glob(filepath.Join(b.Root, "scanners", "*", rig.WorkspacesDirectory, "*"))
	require.NoError(t, err)
	left := len(status.Leases) + len(status.Waiters) + len(workspaces) + b.clients(t)
	for _, h := range b.Hubs {
		s, err := h.Stats(context.Background())
		require.NoError(t, err)
		left += int(s.InProgress)
	}
	return left
}

// scans adds up what the hubs counted: successful scans, and for each hub the highest number in progress of its limit.
// wrong names every digest that was not scanned exactly once.
func (b *system) scans(t *testing.T) (total int, line string, wrong []string) {
	t.Helper()
	byName := map[string]int{}
	for _, h := range b.Hubs {
		s, err := h.Stats(context.Background())
		require.NoError(t, err)
		for name, n := range s.ScansByName {
			byName[name] += int(n)
		}
		total += int(s.ScansSucceeded)
		line += fmt.Sprintf(" %d/%d", s.MaxInProgress, h.Limit)
		t.Logf("hub %s: %d uploads begun, %d accepted, %d refused %v, %d scans failed; requests %v, highest %+v; faults hit %v", h.Name,
			s.UploadsStarted, s.UploadsAccepted, s.UploadsRefused, s.UploadsRefusedBy, s.ScansFailed, s.Requests, s.Highest["all"], s.FaultHits)
	}
	for _, each := range b.Images {
		if n := byName[each.Digest.Hex()]; n != 1 {
			wrong = append(wrong, fmt.Sprintf("%s: %d successful scans", each.Digest, n))
		}
	}
	slices.Sort(wrong)
	return total, line[1:], wrong
}

// clients counts scan clients that work in this test's directory.
func (b *system) clients(t *testing.T) int {
	t.Helper()
	return rig.ScanClients(t, b.Root)
}
