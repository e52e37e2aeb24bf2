package rig

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

// System is everything an end-to-end test runs: a Temporal server and a registry, hubs and workers in their own processes.
type System struct {
	*Dev
	// Root holds the hubs' and the scanners' directories and the logs.
	Root string
	// Seed is where all random choices begin.
	Seed uint64
	Hubs []*HubProcess
	// ConfigFile is the configuration of the workers, after Configure.
	ConfigFile string
	// Images are the images to scan, in the order of their requests.
	Images []PushedImage
	// Workers are the running workers; a restart replaces one.
	Workers []*Program
	// SBOMLog is the file to which the scan client adds a line for each SBOM.
	SBOMLog string
	// bin holds the programs.
	bin string
}

// PushedImage is an image in the registry.
type PushedImage struct {
	Reference string
	Digest    model.Digest
}

// StartSystem starts perceptor-dev with these arguments, but no hubs and no workers. The directory is kept when the test fails.
func StartSystem(t testing.TB, args ...string) *System {
	t.Helper()
	directory, err := os.MkdirTemp("", "perceptor-e2e-")
	require.NoError(t, err)
	b := &System{Root: directory, bin: filepath.Dir(Built(t, "perceptor")), Seed: seedOf(t), SBOMLog: filepath.Join(directory, "lists")}
	t.Logf("seed %d: repeat with E2E_SEED=%d; logs in %s", b.Seed, b.Seed, directory)
	t.Cleanup(func() {
		if !t.Failed() {
			_ = os.RemoveAll(directory)
		}
	})
	b.Dev = StartDev(t, args...)
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

// ImagesWanted is E2E_IMAGES where it is set, for a try with fewer images.
func ImagesWanted(t testing.TB, otherwise int) int {
	t.Helper()
	text := os.Getenv("E2E_IMAGES")
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, "E2E_IMAGES")
	return n
}

// Random is a separate source for each part of a test, so that one part does not change the numbers of another.
func (b *System) Random(part uint64) *rand.Rand { return rand.New(rand.NewPCG(b.Seed, part)) }

// StartProgram starts the perceptor program with its output in a log file, until the test ends.
func (b *System) StartProgram(t testing.TB, log string, environment []string, args ...string) *Program {
	t.Helper()
	p, err := b.launch("perceptor", log, environment, args...)
	require.NoError(t, err)
	t.Cleanup(func() { b.end(p) })
	return p
}

// StartDev starts perceptor-dev, whose hub can misbehave, with its output in a log file, until the test ends.
func (b *System) StartDev(t testing.TB, log string, args ...string) *Program {
	t.Helper()
	p, err := b.launch("perceptor-dev", log, nil, args...)
	require.NoError(t, err)
	t.Cleanup(func() { b.end(p) })
	return p
}

// launch starts a program of bin/ with its output in a log file.
func (b *System) launch(program, log string, environment []string, args ...string) (*Program, error) {
	output, err := os.OpenFile(filepath.Join(b.Root, log+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = output.Close() }() // the program has its own
	p := &Program{Cmd: exec.Command(filepath.Join(b.bin, program), args...), Ended: make(chan error, 1)}
	p.Env = append(onLoopback(), environment...)
	p.Stdout, p.Stderr = output, output
	if err := p.Start(); err != nil {
		return nil, err
	}
	go func() { p.Ended <- p.Wait() }()
	return p, nil
}

// end stops a program by SIGTERM, and by SIGKILL when that takes too long.
func (b *System) end(p *Program) {
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.Ended:
	case <-time.After(30 * time.Second):
		p.Signal(syscall.SIGKILL)
		<-p.Ended
	}
	p.Ended <- nil
}

// Scanners is the configuration of every scanner host.
type Scanners struct {
	Drain      time.Duration
	Workspaces int
	// An SBOM takes a time between SBOMLeast and SBOMMost.
	SBOMLeast, SBOMMost time.Duration
}

// QuickScanners is for tests of everything but the SBOMs.
func QuickScanners(drain time.Duration) Scanners {
	return Scanners{Drain: drain, Workspaces: 4, SBOMLeast: 500 * time.Millisecond, SBOMMost: 500 * time.Millisecond}
}

// Configure writes the configuration of the workers: the hubs, and a scan client that only takes its time.
func (b *System) Configure(t testing.TB, s Scanners) {
	t.Helper()
	var text strings.Builder
	text.WriteString("hubs:\n")
	for _, h := range b.Hubs {
		fmt.Fprintf(&text, "- {name: %s, url: 'https://%s', limit: %d, rate: %g, token-file: %s/hub-token, ca-file: %s/hub-ca.pem}\n",
			h.Name, h.Address, h.Limit, h.Rate, h.Directory, h.Directory)
	}
	fmt.Fprintf(&text, "scanner:\n  drain: %s\n  workspaces: %d\n  client: {command: %s}\n", s.Drain, s.Workspaces, b.sleepingClient(t, s))
	b.ConfigFile = filepath.Join(b.Root, "perceptor.yaml")
	require.NoError(t, os.WriteFile(b.ConfigFile, []byte(text.String()), 0o600))
}

// sleepingClient is a scan client that finds one package in any image, after a while, and uploads by the real client.
func (b *System) sleepingClient(t testing.TB, s Scanners) string {
	t.Helper()
	actual := Built(t, "perceptor-scan")
	// The process's number is as good as a random one.
	script := fmt.Sprintf(`#!/bin/sh
verb=$1
if [ "$verb" != sbom ]; then exec %s "$@"; fi
time=$((%d + $$ * 7919 %% %d))
while [ $# -gt 0 ]; do
	case $1 in --sbom) document=$2 ;; --tar) tar=$2 ;; esac
	shift
done
[ -s "$tar" ] || { echo '{"error":{"class":"invalid","message":"no image","refused":true}}'; exit 65; }
sleep $((time / 1000)).$(printf %%03d $((time %% 1000)))
echo '{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[{"type":"library","name":"a","version":"1","purl":"pkg:generic/a@1"}]}' >"$document.partial"
mv "$document.partial" "$document"
echo "$tar" >>%s
echo '{"result":{"components":1,"sbomBytes":140}}'
`, actual, s.SBOMLeast.Milliseconds(), (s.SBOMMost-s.SBOMLeast).Milliseconds()+1, b.SBOMLog)
	path := filepath.Join(b.Root, "sleeping-client")
	require.NoError(t, os.WriteFile(path, []byte(script), 0o700))
	return path
}

// StartWorkers starts that many workers, each a scanner host with a directory of its own.
func (b *System) StartWorkers(t testing.TB, number int) {
	t.Helper()
	for i := range number {
		p, err := b.LaunchWorker(i)
		require.NoError(t, err)
		b.Workers = append(b.Workers, p)
	}
	t.Cleanup(func() {
		var all sync.WaitGroup
		for _, p := range b.Workers {
			all.Go(func() { b.end(p) })
		}
		all.Wait()
	})
}

// LaunchWorker starts the worker with that number, also again.
func (b *System) LaunchWorker(i int) (*Program, error) {
	return b.launch("perceptor", fmt.Sprintf("worker-%d", i), []string{"TEMPORAL_ADDRESS=" + b.Temporal},
		"worker", "--config", b.ConfigFile, "--directory", b.HostDirectory(i))
}

// HostDirectory is the scanner directory of the worker with that number.
func (b *System) HostDirectory(i int) string {
	return filepath.Join(b.Root, "scanners", strconv.Itoa(i))
}

// PushImages makes new small images and pushes them.
func (b *System) PushImages(t testing.TB, number int) {
	t.Helper()
	for i := range number {
		reference, digest := b.PushRandom(t, fmt.Sprintf("e2e/image-%d", i), 1<<10)
		b.Images = append(b.Images, PushedImage{reference, digest})
	}
}

// ObserveAll requests all scans as a perceiver does. It repeats a request that a busy server did not answer.
func (b *System) ObserveAll(t testing.TB) {
	t.Helper()
	for _, each := range b.Images {
		repository, tag, _ := strings.Cut(strings.TrimPrefix(each.Reference, b.Registry), ":")
		wanted := workflows.Observe{
			Names: []model.Name{{Repository: b.Registry + repository, Tag: tag}}, Priority: workflows.PriorityPod, Domain: workflows.DefaultDomain,
			Reference: workflows.Reference{Kind: workflows.ReferencePerson, ID: "test", Until: time.Now().Add(24 * time.Hour)},
		}
		Eventually(t, 2*time.Minute, "the server to take image "+each.Reference, func() bool {
			return b.Starter.Images.Observe(t.Context(), each.Digest, wanted) == nil
		})
	}
}

// AwaitComplete waits until visibility shows that many complete images. It logs the number from time to time, and calls others
// with it.
func (b *System) AwaitComplete(ctx context.Context, t testing.TB, number int, others ...func(complete int)) {
	t.Helper()
	query := fmt.Sprintf(`WorkflowType = "Image" AND ExecutionStatus = "Running" AND %s = "%s"`, workflows.AttributeScanStatus.GetName(), model.StatusComplete)
	complete := 0
	for logged := time.Now(); ; time.Sleep(time.Second) {
		counted, err := b.Client.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: query})
		if ctx.Err() != nil {
			b.Explain(t)
			require.FailNow(t, "time is up", "%d of %d images are complete", complete, len(b.Images))
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
		if time.Since(logged) > 30*time.Second {
			logged = time.Now()
			t.Logf("%d of %d complete", complete, len(b.Images))
		}
	}
}

// Explain logs the state of the pool and of images that are not complete.
func (b *System) Explain(t testing.TB) {
	t.Helper()
	status, err := b.Starter.Pool.Status(context.Background())
	t.Logf("pool: %+v %v", status, err)
	shown := 0
	for _, each := range b.Images {
		digest := each.Digest
		view, err := b.Starter.Images.View(context.Background(), digest)
		if err == nil && view.Status == model.StatusComplete {
			continue
		}
		doing, _ := b.Starter.Scans.CurrentStep(context.Background(), digest)
		t.Logf("%s: %+v %v; %+v", digest, view, err, doing)
		if shown++; shown == 20 {
			return
		}
	}
}

// CountComplete asks every image itself.
func (b *System) CountComplete(t testing.TB) int {
	t.Helper()
	var group errgroup.Group
	group.SetLimit(8)
	var lock sync.Mutex
	complete := 0
	for _, each := range b.Images {
		group.Go(func() error {
			view, err := b.Starter.Images.View(context.Background(), each.Digest)
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

// AnnounceResult writes the line of the result, which the Makefile prints last.
func AnnounceResult(t testing.TB, line string) {
	t.Helper()
	t.Log(line)
	if file := os.Getenv("E2E_RESULT"); file != "" {
		require.NoError(t, os.WriteFile(file, []byte(line+"\n"), 0o600))
	}
}
