//go:build bench

package bench_test

import (
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/stream"
	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
)

const mib = 1 << 20

// grownAtMost is by how many MiB a worker may grow while it pulls an image of 2 GiB.
const grownAtMost = 128

// BenchmarkWorkerMemory has a worker process scan an image of 2 GiB in four layers, which a registry process serves, and
// reports by how much the worker's peak is over its resident size before its first image. The scan client lists nothing,
// and is a process of its own in any case.
func BenchmarkWorkerMemory(b *testing.B) {
	d := startDev(b)
	var idle, most int64
	turn := 0
	for b.Loop() {
		turn++
		reference, digest := d.pushLarge(b, turn, 4, 512)
		w := d.StartWorker(b, turn, "--scan-client", idleClient(b))
		before := whenIdle(b, w)
		d.Observe(b, reference, digest)
		d.AwaitVerdict(b, digest, 5*time.Minute)
		d.holdsLayers(b, turn, 4*512*mib)
		idle, most = before, max(most, w.Memory(b, "VmHWM")-before)
		w.Kill(b)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(idle)/mib, "MiB_idle")
	b.ReportMetric(float64(most)/mib, "MiB_grown")
	if most > grownAtMost*mib {
		b.Errorf("the worker grew by %d MiB, at most %d wanted", most/mib, grownAtMost)
	}
}

// whenIdle waits until the process no longer grows, and forgets its peak.
func whenIdle(b *testing.B, p *rig.Program) int64 {
	b.Helper()
	before := int64(0)
	rig.Eventually(b, time.Minute, "the worker to be idle", func() bool {
		last := before
		before = p.Memory(b, "VmRSS")
		time.Sleep(2 * time.Second)
		return last > 0 && before-last < mib && last-before < mib
	})
	// 5 resets the peak to the present size; see proc(5).
	require.NoError(b, os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.Process.Pid), []byte("5"), 0))
	return p.Memory(b, "VmRSS")
}

// holdsLayers wants as many bytes of layers in a scanner's cache: random ones do not shrink.
func (d *dev) holdsLayers(b *testing.B, number int, size int64) {
	b.Helper()
	var sum int64
	require.NoError(b, filepath.WalkDir(filepath.Join(d.ScannerDirectory(number), "layers"), func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		sum += info.Size()
		return err
	}))
	require.GreaterOrEqual(b, sum, size)
}

// pushLarge makes an image of random layers without ever holding one.
func (d *dev) pushLarge(b *testing.B, turn, layers, mibEach int) (string, model.Digest) {
	b.Helper()
	made, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers"}})
	require.NoError(b, err)
	for i := range layers {
		contents := io.LimitReader(rand.NewChaCha8([32]byte{byte(turn), byte(i)}), int64(mibEach)*mib)
		made, err = mutate.AppendLayers(made, stream.NewLayer(io.NopCloser(contents), stream.WithCompressionLevel(gzip.BestSpeed)))
		require.NoError(b, err)
	}
	reference, err := name.ParseReference(d.Registry + fmt.Sprintf("/bench/large:%d", turn))
	require.NoError(b, err)
	require.NoError(b, remote.Write(reference, made))
	sum, err := made.Digest()
	require.NoError(b, err)
	digest, err := model.ParseDigest(sum.String())
	require.NoError(b, err)
	return reference.String(), digest
}

// idleClient is a scan client that finds one package in any image without reading it, and uploads by the real client.
func idleClient(b *testing.B) string {
	b.Helper()
	actual := rig.Built(b, "perceptor-scan")
	script := strings.ReplaceAll(`#!/bin/sh
[ "$1" = sbom ] || exec REAL "$@"
while [ $# -gt 0 ]; do
	case $1 in --sbom) document=$2 ;; esac
	shift
done
echo '{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[{"type":"library","name":"a","version":"1","purl":"pkg:generic/a@1"}]}' >"$document.new"
mv "$document.new" "$document"
echo '{"result":{"components":1,"sbomBytes":140}}'
`, "REAL", actual)
	path := filepath.Join(b.TempDir(), "idle-client")
	require.NoError(b, os.WriteFile(path, []byte(script), 0o700))
	return path
}
