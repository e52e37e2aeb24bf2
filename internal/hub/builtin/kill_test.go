package builtin_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin"
	"github.com/perceptor/perceptor/internal/hub/builtin/fault"
)

// childEnv makes this test program a hub: its value is the folder and the scan time.
const childEnv = "PERCEPTOR_TEST_HUB"

func TestMain(m *testing.M) {
	if spec := os.Getenv(childEnv); spec != "" {
		if err := beHub(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// beHub serves until it is killed, or its parent is gone.
func beHub(spec string) error {
	var child struct {
		Dir      string
		ScanTime time.Duration
	}
	if err := json.Unmarshal([]byte(spec), &child); err != nil {
		return err
	}
	options := optionsIn(child.Dir)
	options.ScanTime = child.ScanTime
	h, err := fault.Open(options, fault.Faults{})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	fmt.Println(listener.Addr())
	if err := h.Serve(ctx, listener); err != nil {
		return err
	}
	return h.Close()
}

// child is a hub in a process of its own.
type child struct {
	*testHub
	process *exec.Cmd
}

func startChild(t *testing.T, dir string, scanTime time.Duration) *child {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	process := exec.Command(self, "-test.run=^$")
	spec, err := json.Marshal(map[string]any{"Dir": dir, "ScanTime": scanTime})
	require.NoError(t, err)
	process.Env, process.Stderr = append(os.Environ(), childEnv+"="+string(spec)), os.Stderr
	_, err = process.StdinPipe() // held open: its end is the parent's end
	require.NoError(t, err)
	out, err := process.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, process.Start())
	c := &child{testHub: &testHub{t: t, dir: dir}, process: process}
	t.Cleanup(c.kill)
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan(), "the child did not start")
	c.base = "https://" + lines.Text()
	c.connect()
	return c
}

// kill is kill -9.
func (c *child) kill() {
	if c.process.ProcessState == nil {
		_ = c.process.Process.Kill()
		_ = c.process.Wait()
	}
}

// TestKillBetweenAcceptAndFinish: a scan goes on from its stored time in another process.
func TestKillBetweenAcceptAndFinish(t *testing.T) {
	dir := t.TempDir()
	c := startChild(t, dir, time.Hour)
	c.call(http.MethodPut, "/internal/vulnerability-data", record("TEST-1", "npm", "rotten", "1.2.0", criticalVector))
	u := upload{project: "p", version: "v", scan: "name", attempt: "7-1", document: document("pkg:npm/rotten@1.0.0")}
	a := c.upload(u)
	require.Equal(t, http.StatusCreated, a.status, "%s", a.body)
	place := a.header.Get("Location")[len(c.base):]
	c.kill()

	h := open(t, dir, func(o *builtin.Options) {
		clock := newClock()
		clock.now = time.Now().Add(58 * time.Minute)
		o.Clock, o.ScanTime = clock, time.Hour
	})
	h.clock = h.options.Clock.(*manualClock)
	require.Equal(t, "STARTED", h.get(place).text("scanState"))
	require.Equal(t, place, h.upload(u).header.Get("Location")[len(h.base):], "the attempt is still known")
	stats, err := h.Stats()
	require.NoError(t, err)
	require.Equal(t, []uint64{1, 1, 0}, []uint64{stats.UploadsAccepted, stats.InProgress, stats.ScansSucceeded})
	h.clock.Advance(3 * time.Minute)
	h.awaitScan(place)
	_, version := h.location("name")
	require.Equal(t, "IN_VIOLATION", h.get(version+"/policy-status").text("overallStatus"))
	stats, err = h.Stats()
	require.NoError(t, err)
	require.Equal(t, []uint64{1, 0, 1, 1}, []uint64{stats.UploadsAccepted, stats.InProgress, stats.ScansSucceeded, stats.ScansByName["name"]})
}

// TestKillDuringLoad: the old data stay whole, nothing of the new ones is left, and the next load works.
func TestKillDuringLoad(t *testing.T) {
	dir := t.TempDir()
	c := startChild(t, dir, 0)
	c.load("replace", record("TEST-1", "npm", "rotten", "1.2.0", criticalVector))
	c.scan(upload{project: "p", version: "v", scan: "name", document: document("pkg:npm/rotten@1.0.0", "pkg:npm/later@1.0.0")})

	body, feed := io.Pipe()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, c.base+"/internal/vulnerability-data", body)
	require.NoError(t, err)
	request.Header.Set("Authorization", "token "+c.token())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if answer, err := c.client.Do(request); err == nil {
			_ = answer.Body.Close()
		}
	}()
	for i := range 5000 {
		_, err := fmt.Fprintln(feed, record(fmt.Sprintf("TEST-NEW-%d", i), "npm", "later", "2.0.0", criticalVector))
		require.NoError(t, err)
	}
	var data struct {
		Loading *builtin.LoadReport `json:"loading"`
	}
	require.Eventually(t, func() bool {
		return json.Unmarshal(c.call(http.MethodGet, "/internal/vulnerability-data", "").body, &data) == nil && data.Loading != nil && data.Loading.Records > 0
	}, patience, time.Millisecond)
	c.kill()
	require.NoError(t, feed.Close())
	<-ended

	h := open(t, dir)
	require.Equal(t, "1", h.get("/internal/vulnerability-data").text("records"))
	_, version := h.location("name")
	require.Len(t, h.list(version+"/vulnerable-bom-components").Items, 1)
	h.requireNoLeftovers()
	h.load("merge", record("TEST-2", "npm", "later", "2.0.0", mediumVector))
	require.Len(t, h.list(version+"/vulnerable-bom-components").Items, 2)
}

// TestKillDuringUploads: what was answered is in the file, what is counted is in the file, and all of it ends.
func TestKillDuringUploads(t *testing.T) {
	dir := t.TempDir()
	c := startChild(t, dir, 50*time.Millisecond)
	var lock sync.Mutex
	places := map[string]bool{}
	enough := make(chan struct{})
	var senders sync.WaitGroup
	for sender := range 4 {
		senders.Go(func() {
			for n := 0; ; n++ {
				u := upload{project: "p", version: fmt.Sprint(sender), scan: fmt.Sprintf("s-%d-%d", sender, n), document: document("pkg:npm/a@1.0.0")}
				answer, err := c.client.Do(u.request(c.testHub))
				if err != nil {
					return // the hub is dead
				}
				_ = answer.Body.Close()
				lock.Lock()
				places[strings.TrimPrefix(answer.Header.Get("Location"), c.base)] = answer.StatusCode == http.StatusCreated
				if len(places) == 40 {
					close(enough)
				}
				lock.Unlock()
			}
		})
	}
	<-enough
	c.kill()
	senders.Wait()

	h := open(t, dir)
	h.clock.Advance(time.Since(h.clock.Now()) + time.Minute)
	require.NoError(t, h.login())
	for place, created := range places {
		require.True(t, created)
		h.awaitScan(place)
	}
	require.Eventually(t, func() bool { s, err := h.Stats(); return err == nil && s.InProgress == 0 }, patience, time.Millisecond)
	stats, err := h.Stats()
	require.NoError(t, err)
	all, active, err := h.StoredScans()
	require.NoError(t, err)
	require.Equal(t, []uint64{uint64(all), uint64(all), 0}, []uint64{stats.UploadsAccepted, stats.ScansSucceeded, uint64(active)})
	require.GreaterOrEqual(t, all, len(places))
	require.Len(t, stats.ScansByName, all)
}

// TestStatsSurviveRestart: also the number of requests, after Close.
func TestStatsSurviveRestart(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir)
	u := upload{project: "p", version: "v", scan: "name", document: document("pkg:npm/a@1.0.0")}
	h.scan(u)
	u.document = "bad"
	h.upload(u)
	before, err := h.Stats()
	require.NoError(t, err)
	h.stop()
	h, again := open(t, dir), fault.Stats{}
	decodeInto(t, h.get("/internal/stats").body, &again)
	require.GreaterOrEqual(t, again.RequestsTotal, before.RequestsTotal)
	require.Equal(t, uint64(1), again.UploadsRefusedBy["document"])
	require.Equal(t, before.Requests["upload"], again.Requests["upload"])
	require.GreaterOrEqual(t, again.Highest["all"].In10s, before.Highest["all"].In10s)
	again.RequestsTotal, again.Traffic = before.RequestsTotal, before.Traffic
	require.Equal(t, before, again)
}

func TestOneHubPerFile(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	_, err := builtin.Open(optionsIn(dir))
	require.ErrorContains(t, err, "another hub has it open")
}
