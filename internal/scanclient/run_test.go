package scanclient_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/perceptor/perceptor/internal/scanclient"
	"github.com/perceptor/perceptor/model"
)

// eventually is how long a test waits for something that will surely come.
const eventually = 30 * time.Second

// runner makes a runner whose client plays a part.
func runner(t *testing.T, part string, change func(*scanclient.Options)) *scanclient.Runner {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	options := scanclient.Options{Command: self, Args: []string{actAs, part}}
	if change != nil {
		change(&options)
	}
	r, err := scanclient.New(options)
	require.NoError(t, err)
	return r
}

// request is an SBOM in a directory of its own.
func request(t *testing.T) scanclient.SBOMRequest {
	t.Helper()
	dir := t.TempDir()
	return scanclient.SBOMRequest{
		Tar: filepath.Join(dir, "image.tar"), SBOM: filepath.Join(dir, "image.cdx.json"), Scratch: filepath.Join(dir, "scratch"),
	}
}

// requireNothingLeft asserts that every process of the run is dead, and that scratch and unfinished SBOMs are gone.
func requireNothingLeft(t *testing.T, req scanclient.SBOMRequest) {
	t.Helper()
	for _, pid := range pids(filepath.Dir(req.SBOM)) {
		require.False(t, alive(pid), "process %d is left", pid)
	}
	require.NoDirExists(t, req.Scratch)
	require.NoFileExists(t, req.SBOM+".partial")
}

func requireError(t *testing.T, err error) *scanclient.Error {
	t.Helper()
	var failure *scanclient.Error
	require.ErrorAs(t, err, &failure)
	return failure
}

func TestListGivesTheSBOM(t *testing.T) {
	req := request(t)
	var seen []scanclient.Progress
	sbom, err := runner(t, "good", nil).GenerateSBOM(t.Context(), req, func(p scanclient.Progress) { seen = append(seen, p) })
	require.NoError(t, err)
	require.Equal(t, scanclient.SBOM{Components: 2, SBOMBytes: int64(len(goodSBOM))}, sbom)
	require.Equal(t, []scanclient.Progress{{Phase: "unpack", Done: 1, Total: 2}}, seen)
	require.FileExists(t, req.SBOM)
	require.Len(t, pids(filepath.Dir(req.SBOM)), 1)
	requireNothingLeft(t, req)
}

func TestListKeepsWhatStandsInScratch(t *testing.T) {
	req := request(t)
	req.Tar, req.SBOM = filepath.Join(req.Scratch, "image.tar"), filepath.Join(req.Scratch, "image.cdx.json")
	require.NoError(t, os.MkdirAll(req.Scratch, 0o700))
	require.NoError(t, os.WriteFile(req.Tar, []byte("tar"), 0o600))
	_, err := runner(t, "good", nil).GenerateSBOM(t.Context(), req, nil)
	require.NoError(t, err)
	require.FileExists(t, req.Tar)
	require.FileExists(t, req.SBOM)
	require.NoDirExists(t, filepath.Join(req.Scratch, "scan-client"))
}

func TestListTakesNoDocumentOfAnEarlierRun(t *testing.T) {
	req := request(t)
	require.NoError(t, os.WriteFile(req.SBOM, []byte(goodSBOM), 0o600))
	_, err := runner(t, "no-SBOM", nil).GenerateSBOM(t.Context(), req, nil)
	require.ErrorContains(t, err, "wrote no SBOM")
}

// TestMisbehavingClients runs every way a client can go wrong to its end: a class, a reason, and nothing left.
func TestMisbehavingClients(t *testing.T) {
	short := func(o *scanclient.Options) { o.SBOMTimeout = 500 * time.Millisecond }
	cases := []struct {
		name, part string
		change     func(*scanclient.Options)
		class      model.FailureClass
		reason     string
	}{
		{"hangs", "hang", short, model.Invalid, "ran longer than its time limit of 500ms"},
		{"starts processes in other sessions", "grandchildren", short, model.Invalid, "ran longer than its time limit"},
		{"floods its output with lines", "flood-lines", nil, model.Invalid, "flooded its output with more than 100000 lines"},
		{"floods its output with one line", "flood-line", nil, model.Invalid, "a line of more than 65536 bytes"},
		{"grows", "grow", func(o *scanclient.Options) { o.MemoryLimit = 256 << 20 }, model.Invalid, "needed more than its 256 MiB of memory"},
		{"fills its scratch", "fill", func(o *scanclient.Options) { o.ScratchQuota = 8 << 20 }, model.Invalid, "unpacks to more than the scratch quota of 8 MiB"},
		{"says nothing", "silent", nil, model.Invalid, "said neither a result nor an error"},
		{"writes no SBOM", "no-SBOM", nil, model.Invalid, "said that it succeeded but wrote no SBOM"},
		{"writes a page", "bad-SBOM", nil, model.Invalid, "wrote an SBOM that is not CycloneDX"},
		{"writes a link", "linked-SBOM", nil, model.Invalid, "it is no regular file"},
		{"speaks otherwise", "garbage", nil, model.Invalid, `not the scan client protocol: want one JSON object`},
		{"does not stop talking", "talkative", nil, model.Invalid, "went on talking after its last line"},
		{"contradicts itself", "contradiction", nil, model.Invalid, "said that it succeeded but ended with exit code 74"},
		{"is killed", "dies", nil, model.Transient, "was killed by signal 9"},
		{"is killed within a line", "half-a-line", nil, model.Transient, "was killed by signal 9"},
		{"gives only an exit code", "exit-code", nil, model.Transient, "ended with exit code 74 and gave no reason; its last words: cannot write: [31mdisk broken"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			req := request(t)
			sbom, err := runner(t, c.part, c.change).GenerateSBOM(t.Context(), req, nil)
			requireGone := func(reason string) {
				t.Helper()
				failure := requireError(t, err)
				require.Zero(t, sbom)
				require.Equal(t, c.class, failure.FailureClass(), failure)
				require.Contains(t, failure.Error(), reason)
				require.Equal(t, scanclient.OpSBOM, failure.Op)
				require.NoFileExists(t, req.SBOM)
				requireNothingLeft(t, req)
			}
			requireGone(c.reason)
			// The same of a client that has served an image well before.
			r := keeping(t, c.change)
			before := request(t)
			before.Name = "good"
			_, err = r.GenerateSBOM(t.Context(), before, nil)
			require.NoError(t, err)
			require.Len(t, pids(filepath.Dir(before.SBOM)), 1)
			req = request(t)
			req.Name = c.part
			sbom, err = r.GenerateSBOM(t.Context(), req, nil)
			if c.part == "talkative" || c.part == "contradiction" {
				requireGone("said that it succeeded but wrote no SBOM") // what follows a result has no meaning
			} else {
				requireGone(c.reason)
			}
			requireNothingLeft(t, before)
		})
	}
}

func TestEveryProcessOfTheFamilyIsKilled(t *testing.T) {
	req := request(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := runner(t, "grandchildren", nil).GenerateSBOM(ctx, req, nil)
		done <- err
	}()
	dir := filepath.Dir(req.SBOM)
	require.Eventually(t, func() bool { return len(pids(dir)) == 3 }, eventually, time.Millisecond)
	cancel()
	failure := requireError(t, <-done)
	require.ErrorIs(t, failure, context.Canceled)
	require.Equal(t, model.Transient, failure.FailureClass())
	requireNothingLeft(t, req)
}

func TestAnOrphanOfAGoodClientIsKilled(t *testing.T) {
	req := request(t)
	_, err := runner(t, "orphan", nil).GenerateSBOM(t.Context(), req, nil)
	require.NoError(t, err)
	require.Len(t, pids(filepath.Dir(req.SBOM)), 2)
	requireNothingLeft(t, req)
}

// TestOrphansThatLandHereAreReaped makes this process what a container's first process is: a process that loses its parent becomes
// its child, and would stay a zombie.
func TestOrphansThatLandHereAreReaped(t *testing.T) {
	require.NoError(t, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	defer func() { require.NoError(t, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)) }()
	req := request(t)
	_, err := runner(t, "orphan", nil).GenerateSBOM(t.Context(), req, nil)
	require.NoError(t, err)
	left := pids(filepath.Dir(req.SBOM))
	require.Len(t, left, 2)
	for _, pid := range left {
		require.NoDirExists(t, filepath.Join("/proc", strconv.Itoa(pid)))
	}
}

func TestACancelledCallStartsNothing(t *testing.T) {
	req := request(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := runner(t, "good", nil).GenerateSBOM(ctx, req, nil)
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, requireError(t, err).SurelyRefused())
	require.Empty(t, pids(filepath.Dir(req.SBOM)))
}

func TestTheLogKeepsItsBothEnds(t *testing.T) {
	req := request(t)
	const limit = 1024
	_, err := runner(t, "flood-log", func(o *scanclient.Options) { o.LogLimit = limit }).GenerateSBOM(t.Context(), req, nil)
	failure := requireError(t, err)
	require.Equal(t, model.Invalid, failure.FailureClass())
	require.Contains(t, failure.Log, "the very first line")
	require.Contains(t, failure.Log, "the very last line")
	require.Contains(t, failure.Log, "bytes left out")
	require.Less(t, len(failure.Log), 2*limit)
}

// TestAClientDiesWithItsWorker kills a worker as no handler can see it, and the client, deaf to everything else, dies.
func TestAClientDiesWithItsWorker(t *testing.T) {
	req := request(t)
	self, err := os.Executable()
	require.NoError(t, err)
	worker := exec.Command(self, actAs, "worker", "linger", "--sbom", req.SBOM, "--scratch", req.Scratch)
	require.NoError(t, worker.Start())
	dir := filepath.Dir(req.SBOM)
	require.Eventually(t, func() bool { return len(pids(dir)) == 1 }, eventually, time.Millisecond)
	client := pids(dir)[0]
	require.True(t, alive(client))
	require.NoError(t, worker.Process.Kill())
	var exit *exec.ExitError
	require.True(t, errors.As(worker.Wait(), &exit))
	require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal())
	require.Eventually(t, func() bool { return !alive(client) }, eventually, time.Millisecond)

	// What the killed worker left in scratch is cleared by the next run in the same place.
	_, err = runner(t, "good", nil).GenerateSBOM(t.Context(), req, nil)
	require.NoError(t, err)
	require.NoDirExists(t, filepath.Join(req.Scratch, "scan-client"))
}
