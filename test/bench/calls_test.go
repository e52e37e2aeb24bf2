//go:build bench

package bench_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/config"
	"github.com/perceptor/perceptor/internal/hub/blackduck"
	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/workers"
)

const (
	// callRate is the rate of the hub's queue in steps per second.
	callRate = 10
	// callsAtMost is what one scan may cost the hub, without the polls.
	callsAtMost = 6
	callWindow  = 10 * time.Second
)

// BenchmarkHubCalls scans 100 images through a hub whose queue has a rate, with the wiring of a real worker, and reports
// what that costs the hub: calls per scan, those of the polls and logins apart, and the most calls within ten seconds of
// the steps that the queue's rate bounds.
func BenchmarkHubCalls(b *testing.B) {
	e := startSystem(b)
	e.Hubs = []*rig.HubProcess{rig.StartHub(b, e.System, "counted", 8, rig.SlowFaults(e.Seed, time.Second, 3*time.Second))}
	number := rig.ImagesWanted(b, 100)
	seen := &calls{next: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 16,
	}}
	e.startCounted(b, seen)
	e.PushImages(b, number)
	for b.Loop() {
		ctx, cancel := context.WithTimeout(b.Context(), backlogBound)
		e.ObserveAll(b)
		e.AwaitComplete(ctx, b, number)
		cancel()
	}
	b.ReportMetric(0, "ns/op")
	e.reportCalls(b, seen, float64(number))
}

// idleTime is what stands for an idle hour, after idleSettle for what the last scans leave to do.
const (
	idleSettle = 90 * time.Second
	idleTime   = 5 * time.Minute
)

// BenchmarkIdle lets a hub alone when all its images are scanned, and reports what Perceptor still asks it in an hour: what has
// changed, and nothing else.
func BenchmarkIdle(b *testing.B) {
	e := startSystem(b)
	e.Hubs = []*rig.HubProcess{rig.StartHub(b, e.System, "idle", 8, rig.SlowFaults(e.Seed, time.Second, 3*time.Second))}
	number := rig.ImagesWanted(b, 20)
	e.Configure(b, rig.QuickScanners(time.Second))
	e.PushImages(b, number)
	e.StartWorkers(b, 2)
	e.ObserveAll(b)
	ctx, cancel := context.WithTimeout(b.Context(), backlogBound)
	e.AwaitComplete(ctx, b, number)
	cancel()
	for b.Loop() {
		time.Sleep(idleSettle)
		before, err := e.Hubs[0].Stats(b.Context())
		require.NoError(b, err)
		time.Sleep(idleTime)
		after, err := e.Hubs[0].Stats(b.Context())
		require.NoError(b, err)
		hours := idleTime.Hours()
		for class, requests := range after.Requests {
			asked := float64(requests - before.Requests[class])
			b.ReportMetric(asked/hours, string(class)+"/h")
			if class != "refresh" && class != "login" && asked > 0 {
				b.Errorf("%.0f requests of class %s while nothing was to be done", asked, class)
			}
		}
	}
	b.ReportMetric(0, "ns/op")
}

// startCounted runs a worker in this process whose driver of the hub notes each request.
func (b *system) startCounted(t *testing.B, seen *calls) {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	c, err := client.Dial(client.Options{HostPort: b.Temporal, Logger: log.NewStructuredLogger(quiet)})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	h := b.Hubs[0]
	driver, err := blackduck.New(blackduck.Options{
		Name: h.Name, URL: "https://" + h.Address, TokenFile: filepath.Join(h.Directory, "hub-token"), CAFile: filepath.Join(h.Directory, "hub-ca.pem"), Transport: seen,
	})
	require.NoError(t, err)
	b.Configure(t, rig.Scanners{Drain: time.Second, Workspaces: 16, SBOMLeast: time.Millisecond, SBOMMost: time.Millisecond})
	conf, err := config.Load(b.ConfigFile, nil)
	require.NoError(t, err)
	conf.Hubs[0].Rate, conf.Scanner.Directory = callRate, b.HostDirectory(0)
	settings := workers.Settings{Config: conf, Roles: workers.AllRoles, Client: c, Namespace: client.DefaultNamespace, Logger: quiet}
	app := fxtest.New(t, workers.Module(settings), fx.NopLogger, fx.Replace(fx.Annotate(activities.HubMap{h.Name: driver}, fx.As(new(activities.Hubs)))))
	app.RequireStart()
	t.Cleanup(app.RequireStop)
}

func (b *system) reportCalls(t *testing.B, seen *calls, number float64) {
	t.Helper()
	s, err := b.Hubs[0].Stats(context.Background())
	require.NoError(t, err)
	polls, others, most := seen.read()
	perScan := (others + float64(s.Requests["upload"])) / number
	t.ReportMetric(perScan, "calls/scan")
	t.ReportMetric(polls/number, "polls/scan")
	t.ReportMetric(float64(most), "most_in_10s")
	if perScan > callsAtMost {
		t.Errorf("%.2f calls to the hub for a scan, at most %d wanted", perScan, callsAtMost)
	}
	if bound := 33*callRate + 3; most > bound {
		t.Errorf("%d calls to the hub within 10 s at %d steps a second, at most %d wanted", most, callRate, bound)
	}
}

// calls notes when each request was made, and for which step.
type calls struct {
	next http.RoundTripper
	lock sync.Mutex
	// bounded are the times of requests of the steps on the hub's queue.
	bounded []time.Time
	byStep  map[string]int
}

func (c *calls) RoundTrip(r *http.Request) (*http.Response, error) {
	c.note(r)
	return c.next.RoundTrip(r)
}

func (c *calls) note(r *http.Request) {
	// A login serves all steps; a version is asked for with each.
	if strings.HasPrefix(r.URL.Path, "/api/tokens/") || r.URL.Path == "/api/current-version" || !activity.IsActivity(r.Context()) {
		return
	}
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.byStep == nil {
		c.byStep = map[string]int{}
	}
	step := activity.GetInfo(r.Context()).ActivityType.Name
	if step == "AwaitHubScan" && strings.Contains(r.URL.Path, "/versions/") {
		step = "AwaitHubScan: verdict"
	}
	c.byStep[step]++
	if step != "UploadScan" && step != "ProbeHub" {
		c.bounded = append(c.bounded, time.Now())
	}
}

// read adds up: calls of the polls, of all other steps, and the most bounded ones within the window.
func (c *calls) read() (polls, others float64, most int) {
	c.lock.Lock()
	defer c.lock.Unlock()
	for step, n := range c.byStep {
		if step == "AwaitHubScan" {
			polls += float64(n)
		} else {
			others += float64(n)
		}
	}
	first := 0
	for i, at := range c.bounded {
		for at.Sub(c.bounded[first]) >= callWindow {
			first++
		}
		most = max(most, i-first+1)
	}
	return polls, others, most
}
