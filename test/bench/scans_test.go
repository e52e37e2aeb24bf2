//go:build bench

package bench_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/config"
	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/internal/workspace"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workers"
	"github.com/perceptor/perceptor/workflows"
)

// What both sides of the comparison get: rounds in turn, so many runs in each, so many of them under way at a time, and
// so many slots on each queue of steps.
const (
	rounds   = 3
	runsEach = 100
	inFlight = 50
	slots    = 16
)

// eventsAtMost is what the first scan of an image may write into all histories together, updatesAtMost how often it may have the
// server write the state of a workflow. The server's cost is proportional to the second.
const (
	eventsAtMost  = 85
	updatesAtMost = 50
)

// BenchmarkScans measures what the workflows cost: scans through ScanImage, Image and HubPool with the wiring of a real
// worker, whose registry, scan client and hub answer at once, against a bare workflow of eight steps that do nothing.
// Server, worker process, slots and runs under way are the same for both. x_bare is scans per second over bare workflows
// per second; x_bare_cpu is the same of processor time, server and worker together, which tells more on a busy machine.
func BenchmarkScans(b *testing.B) {
	d := startDev(b)
	s := startQuickScans(b, d)
	plain := startBare(b, s.client)
	// The first runs meet cold caches, of the server's too.
	s.round(b, inFlight)
	plain.round(b, inFlight)
	s.digests = nil
	before := s.poolLength(b)
	number := rig.ImagesWanted(b, runsEach)
	var scans, bares cost
	for b.Loop() {
		for range rounds {
			bares.add(b, d, func() { plain.round(b, number) })
			scans.add(b, d, func() { s.round(b, number) })
		}
	}
	total := float64(len(s.digests))
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(total/scans.time.Seconds(), "scans/s")
	b.ReportMetric(total/bares.time.Seconds(), "bare/s")
	b.ReportMetric(bares.time.Seconds()/scans.time.Seconds(), "x_bare")
	b.ReportMetric(bares.cpu.Seconds()/scans.cpu.Seconds(), "x_bare_cpu")
	s.reportLengths(b, s.poolLength(b).minus(before).per(total))
}

// manyScans is how many scans BenchmarkInstantScans has in one go.
const manyScans = 2000

// BenchmarkInstantScans scans 2,000 images one after the other through edges that do nothing, 50 at a time.
func BenchmarkInstantScans(b *testing.B) {
	s := startQuickScans(b, startDev(b))
	s.round(b, inFlight)
	for b.Loop() {
		began := time.Now()
		s.round(b, manyScans)
		b.ReportMetric(manyScans/time.Since(began).Seconds(), "scans/s")
	}
	b.ReportMetric(0, "ns/op")
}

// quickScans is a worker whose edges do nothing, and the scans it has done.
type quickScans struct {
	client  client.Client
	starter *starter.Starter
	hub     *instantHub
	digests []model.Digest
	started int
}

func startQuickScans(b *testing.B, d *dev, dial ...grpc.DialOption) *quickScans {
	b.Helper()
	quiet := slog.New(slog.DiscardHandler)
	c, err := client.Dial(client.Options{
		HostPort: d.Temporal, Logger: log.NewStructuredLogger(quiet), ConnectionOptions: client.ConnectionOptions{DialOptions: dial},
	})
	require.NoError(b, err)
	b.Cleanup(c.Close)
	s := &quickScans{client: c, starter: starter.New(c), hub: newInstantHub()}
	conf := config.Default()
	conf.Hubs = []config.Hub{{Name: "instant", Limit: inFlight}}
	conf.Scanner.Directory, conf.Scanner.Workspaces, conf.Scanner.Drain = b.TempDir(), slots, time.Second
	hubs := activities.HubMap{"instant": s.hub}
	settings := workers.Settings{Config: conf, Roles: workers.AllRoles, Client: c, Namespace: client.DefaultNamespace, Logger: quiet}
	app := fxtest.New(b, workers.Module(settings), fx.NopLogger, fx.Replace(fx.Annotate(hubs, fx.As(new(activities.Hubs)))),
		fx.Decorate(func(p *workspace.Pool) *activities.ScannerSteps {
			return activities.NewScannerSteps(noPull{}, s.hub, p, hubs)
		}))
	app.RequireStart()
	b.Cleanup(app.RequireStop)
	return s
}

// round scans new images, as perceivers would have them scanned, and waits until each scan has closed.
func (s *quickScans) round(b *testing.B, number int) {
	b.Helper()
	var group errgroup.Group
	group.SetLimit(inFlight)
	for range number {
		s.started++
		sum := sha256.Sum256(fmt.Append(nil, s.started))
		digest := model.Digest("sha256:" + hex.EncodeToString(sum[:]))
		s.digests = append(s.digests, digest)
		group.Go(func() error { return s.scan(b, digest) })
	}
	require.NoError(b, group.Wait())
}

func (s *quickScans) scan(b *testing.B, digest model.Digest) error {
	judged := s.hub.expect(digest.Hex())
	err := s.starter.Images.Observe(b.Context(), digest, workflows.Observe{
		Names: []model.Name{{Repository: "registry.example/bench", Tag: "1"}}, Priority: workflows.PriorityPod, Domain: workflows.DefaultDomain,
		Reference: workflows.Reference{Kind: workflows.ReferencePerson, ID: "bench", Until: time.Now().Add(time.Hour)},
	})
	if err != nil {
		return err
	}
	// Asking before would cost the server calls that no scan makes.
	select {
	case <-judged:
	case <-b.Context().Done():
		return b.Context().Err()
	}
	var verdict model.Verdict
	return s.client.GetWorkflow(b.Context(), workflows.ScanImageID(digest), "").Get(b.Context(), &verdict)
}

// length is how much a workflow has cost the server: the events of its history, and how often its state was written.
type length struct{ events, updates float64 }

func (l length) plus(other length) length {
	return length{l.events + other.events, l.updates + other.updates}
}

func (l length) minus(other length) length { return l.plus(length{-other.events, -other.updates}) }

func (l length) per(number float64) length { return length{l.events / number, l.updates / number} }

// reportLengths reports what one scan costs the server on average, the pool's share in it.
func (s *quickScans) reportLengths(b *testing.B, pool length) {
	b.Helper()
	var scan, image length
	for _, digest := range s.digests {
		rig.Eventually(b, time.Minute, "the verdict of "+string(digest), func() bool {
			view, err := s.starter.Images.View(b.Context(), digest)
			return err == nil && view.Status == model.StatusComplete && !view.Scanning
		})
		scan = scan.plus(s.length(b, workflows.ScanImageID(digest), ""))
		image = image.plus(s.length(b, workflows.ImageID(digest), ""))
	}
	scan, image = scan.per(float64(len(s.digests))), image.per(float64(len(s.digests)))
	sum := scan.plus(image).plus(pool)
	for name, each := range map[string]length{"ScanImage": scan, "Image": image, "HubPool": pool} {
		b.ReportMetric(each.events, "events_"+name)
		b.ReportMetric(each.updates, "updates_"+name)
	}
	b.ReportMetric(sum.events, "events/scan")
	b.ReportMetric(sum.updates, "server-side_updates/scan")
	if sum.events > eventsAtMost || sum.updates > updatesAtMost {
		b.Errorf("%.1f events and %.1f server-side updates for a first scan, at most %d and %d wanted: ScanImage %.1f, Image %.1f, HubPool's share %.1f",
			sum.events, sum.updates, eventsAtMost, updatesAtMost, scan, image, pool)
	}
}

func (s *quickScans) length(b *testing.B, workflow, run string) length {
	b.Helper()
	described, err := s.client.DescribeWorkflowExecution(b.Context(), workflow, run)
	require.NoError(b, err)
	info := described.GetWorkflowExecutionInfo()
	return length{events: float64(info.GetHistoryLength()), updates: float64(info.GetStateTransitionCount())}
}

// poolLength adds up all runs of the pool.
func (s *quickScans) poolLength(b *testing.B) length {
	b.Helper()
	described, err := s.client.DescribeWorkflowExecution(b.Context(), workflows.HubPoolID, "")
	require.NoError(b, err)
	var sum length
	for run := described.GetWorkflowExecutionInfo().GetFirstRunId(); run != ""; run = s.nextRun(b, workflows.HubPoolID, run) {
		sum = sum.plus(s.length(b, workflows.HubPoolID, run))
	}
	return sum
}

// nextRun is the run that a run continued as; empty when there is none.
func (s *quickScans) nextRun(b *testing.B, workflow, run string) string {
	b.Helper()
	last := s.client.GetWorkflowHistory(b.Context(), workflow, run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT)
	if !last.HasNext() {
		return ""
	}
	event, err := last.Next()
	require.NoError(b, err)
	return event.GetWorkflowExecutionContinuedAsNewEventAttributes().GetNewExecutionRunId()
}
