//go:build e2e || bench

package main_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"golang.org/x/sync/errgroup"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// bench is everything an end-to-end test runs: a Temporal server and a registry, hubs and workers in their own processes.
type bench struct {
	*dev
	directory string
	seed      uint64
	hubs      []*hubProcess
	config    string
	// images are what is to be scanned, in the order in which it is asked for.
	images []pushed
	// lock guards workers, which restarts replace.
	workers []*process
	// lists is the file to which the scan client adds a line for each listing.
	lists string
}

// pushed is an image in the registry.
type pushed struct {
	reference string
	digest    model.Digest
}

// startBench starts all but the hubs and the workers, perceptor-dev with these arguments. The directory is kept when the test fails.
func startBench(t testing.TB, args ...string) *bench {
	t.Helper()
	directory, err := os.MkdirTemp("", "perceptor-e2e-")
	require.NoError(t, err)
	b := &bench{directory: directory, seed: seedOf(t), lists: filepath.Join(directory, "lists")}
	t.Logf("seed %d: repeat with E2E_SEED=%d; logs in %s", b.seed, b.seed, directory)
	t.Cleanup(func() {
		if !t.Failed() {
			_ = os.RemoveAll(directory)
		}
	})
	b.dev = startDev(t, args...)
	return b
}

func seedOf(t testing.TB) uint64 {
	t.Helper()
	text := os.Getenv("E2E_SEED")
	if text == "" {
		return uint64(time.Now().UnixNano())
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, "E2E_SEED")
	return seed
}

// imagesWanted is E2E_IMAGES, to try things with fewer.
func imagesWanted(t testing.TB, otherwise int) int {
	t.Helper()
	text := os.Getenv("E2E_IMAGES")
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, "E2E_IMAGES")
	return n
}

// random is a source of its own for each part of a test, so that what one part draws changes nothing for the others.
func (b *bench) random(part uint64) *rand.Rand { return rand.New(rand.NewPCG(b.seed, part)) }

// run starts the perceptor program with its output in a log file, until the test ends.
func (b *bench) run(t testing.TB, log string, environment []string, args ...string) *process {
	t.Helper()
	p, err := b.launch(log, environment, args...)
	require.NoError(t, err)
	t.Cleanup(func() { b.end(p) })
	return p
}

// runDev starts perceptor-dev, whose hub can misbehave.
func (b *bench) runDev(t testing.TB, log string, args ...string) *process {
	t.Helper()
	p, err := b.launchProgram("perceptor-dev", log, nil, args...)
	require.NoError(t, err)
	t.Cleanup(func() { b.end(p) })
	return p
}

func (b *bench) launch(log string, environment []string, args ...string) (*process, error) {
	return b.launchProgram("perceptor", log, environment, args...)
}

func (b *bench) launchProgram(program, log string, environment []string, args ...string) (*process, error) {
	path, err := filepath.Abs(filepath.Join(bin, program))
	if err != nil {
		return nil, err
	}
	output, err := os.OpenFile(filepath.Join(b.directory, log+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = output.Close() }() // the program has its own
	p := &process{Cmd: exec.Command(path, args...), ended: make(chan error, 1)}
	p.Env = append(os.Environ(), environment...)
	p.Stdout, p.Stderr = output, output
	if err := p.Start(); err != nil {
		return nil, err
	}
	go func() { p.ended <- p.Wait() }()
	return p, nil
}

// end stops a process in good order, or at last in another.
func (b *bench) end(p *process) {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(30 * time.Second):
		p.signal(syscall.SIGKILL)
		<-p.ended
	}
	p.ended <- nil
}

// scanners is what every scanner host is told.
type scanners struct {
	drain  time.Duration
	berths int
	// list and most are between what times a listing takes.
	list, most time.Duration
}

// quickly is for tests of everything but the listing.
func quickly(drain time.Duration) scanners {
	return scanners{drain: drain, berths: 4, list: 500 * time.Millisecond, most: 500 * time.Millisecond}
}

// configure writes the configuration of the workers: the hubs, and a scan client that only takes its time.
func (b *bench) configure(t testing.TB, s scanners) {
	t.Helper()
	var text strings.Builder
	text.WriteString("hubs:\n")
	for _, h := range b.hubs {
		fmt.Fprintf(&text, "- {name: %s, url: 'https://%s', limit: %d, rate: %g, token-file: %s/hub-token, ca-file: %s/hub-ca.pem}\n",
			h.name, h.address, h.limit, h.rate, h.directory, h.directory)
	}
	fmt.Fprintf(&text, "scanner:\n  drain: %s\n  berths: %d\n  client: {command: %s}\n", s.drain, s.berths, b.sleepingClient(t, s))
	b.config = filepath.Join(b.directory, "perceptor.yaml")
	require.NoError(t, os.WriteFile(b.config, []byte(text.String()), 0o600))
}

// sleepingClient is a scan client that lists one package in any image, after a while, and uploads by the real client.
func (b *bench) sleepingClient(t testing.TB, s scanners) string {
	t.Helper()
	actual, err := filepath.Abs(filepath.Join(bin, "perceptor-scan"))
	require.NoError(t, err)
	// The process's number is as good as a random one.
	script := fmt.Sprintf(`#!/bin/sh
verb=$1
if [ "$verb" != list ]; then exec %s "$@"; fi
time=$((%d + $$ * 7919 %% %d))
while [ $# -gt 0 ]; do
	case $1 in --document) document=$2 ;; --tar) tar=$2 ;; esac
	shift
done
[ -s "$tar" ] || { echo '{"error":{"class":"invalid","message":"no image","refused":true}}'; exit 65; }
sleep $((time / 1000)).$(printf %%03d $((time %% 1000)))
echo '{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[{"type":"library","name":"a","version":"1","purl":"pkg:generic/a@1"}]}' >"$document.partial"
mv "$document.partial" "$document"
echo "$tar" >>%s
echo '{"result":{"components":1,"documentBytes":140}}'
`, actual, s.list.Milliseconds(), (s.most-s.list).Milliseconds()+1, b.lists)
	path := filepath.Join(b.directory, "sleeping-client")
	require.NoError(t, os.WriteFile(path, []byte(script), 0o700))
	return path
}

// startWorkers starts that many workers, each a scanner host with a directory of its own.
func (b *bench) startWorkers(t testing.TB, number int) {
	t.Helper()
	for i := range number {
		p, err := b.launchWorker(i)
		require.NoError(t, err)
		b.workers = append(b.workers, p)
	}
	t.Cleanup(func() {
		var all sync.WaitGroup
		for _, p := range b.workers {
			all.Go(func() { b.end(p) })
		}
		all.Wait()
	})
}

func (b *bench) launchWorker(i int) (*process, error) {
	return b.launch(fmt.Sprintf("worker-%d", i), []string{"TEMPORAL_ADDRESS=" + b.Temporal},
		"worker", "--config", b.config, "--directory", b.scanner(i))
}

func (b *bench) scanner(i int) string { return filepath.Join(b.directory, "scanners", strconv.Itoa(i)) }

// pushImages makes small images that nobody has seen before.
func (b *bench) pushImages(t testing.TB, number int) {
	t.Helper()
	for i := range number {
		reference, digest := b.push(t, fmt.Sprintf("e2e/image-%d", i), 1<<10)
		b.images = append(b.images, pushed{reference, digest})
	}
}

// observeAll asks for all scans, as a perceiver would: again where a busy server gave no answer.
func (b *bench) observeAll(t testing.TB) {
	t.Helper()
	for _, each := range b.images {
		repository, tag, _ := strings.Cut(strings.TrimPrefix(each.reference, b.Registry), ":")
		wanted := workflows.Observe{
			Names: []model.Name{{Repository: b.Registry + repository, Tag: tag}}, Priority: workflows.PriorityPod, Domain: workflows.DefaultDomain,
			Reference: workflows.Reference{Kind: workflows.ReferencePerson, ID: "test", Until: time.Now().Add(24 * time.Hour)},
		}
		eventually(t, 2*time.Minute, "the server to take image "+each.reference, func() bool {
			return b.starter.Observe(t.Context(), each.digest, wanted) == nil
		})
	}
}

// awaitComplete waits until visibility shows that many images complete, tells how far things are now and then, and calls
// others with the number.
func (b *bench) awaitComplete(ctx context.Context, t testing.TB, number int, others ...func(complete int)) {
	t.Helper()
	query := fmt.Sprintf(`WorkflowType = "Image" AND ExecutionStatus = "Running" AND %s = "%s"`, workflows.AttributeScanStatus.GetName(), model.StatusComplete)
	complete := 0
	for told := time.Now(); ; time.Sleep(time.Second) {
		counted, err := b.client.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: query})
		if ctx.Err() != nil {
			b.explain(t)
			require.FailNow(t, "time is up", "%d of %d images are complete", complete, len(b.images))
		}
		if err != nil {
			continue
		}
		complete = int(counted.GetCount())
		for _, other := range others {
			other(complete)
		}
		if complete >= number {
			return
		}
		if time.Since(told) > 30*time.Second {
			told = time.Now()
			t.Logf("%d of %d complete", complete, len(b.images))
		}
	}
}

// explain tells of images that are not complete what the pool and they themselves say.
func (b *bench) explain(t testing.TB) {
	t.Helper()
	status, err := b.starter.HubPool(context.Background())
	t.Logf("pool: %+v %v", status, err)
	told := 0
	for _, each := range b.images {
		digest := each.digest
		view, err := b.starter.Image(context.Background(), digest)
		if err == nil && view.Status == model.StatusComplete {
			continue
		}
		doing, _ := b.starter.Doing(context.Background(), digest)
		t.Logf("%s: %+v %v; %+v", digest, view, err, doing)
		if told++; told == 20 {
			return
		}
	}
}

// completeImages asks every image itself.
func (b *bench) completeImages(t testing.TB) int {
	t.Helper()
	var group errgroup.Group
	group.SetLimit(8)
	var lock sync.Mutex
	complete := 0
	for _, each := range b.images {
		group.Go(func() error {
			view, err := b.starter.Image(context.Background(), each.digest)
			if err != nil {
				return err
			}
			lock.Lock()
			defer lock.Unlock()
			if view.Status == model.StatusComplete && !view.Scanning {
				complete++
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	return complete
}

// announceResult writes the line that says how it ended, for whoever prints it last.
func announceResult(t testing.TB, line string) {
	t.Helper()
	t.Log(line)
	if file := os.Getenv("E2E_RESULT"); file != "" {
		require.NoError(t, os.WriteFile(file, []byte(line+"\n"), 0o600))
	}
}
