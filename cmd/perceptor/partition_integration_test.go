//go:build integration

package main_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/image"
)

// TestPartitionedScanner cuts a scanner off from Temporal while it lists and while it uploads; the hub and the registry it
// still reaches. Another scanner takes the image over, and the hub has exactly one successful scan of it, also after the
// first one is back.
func TestPartitionedScanner(t *testing.T) {
	d := startSlowDev(t)
	link := newLink(t, d.Temporal)
	config := filepath.Join(t.TempDir(), "perceptor.yaml")
	text := fmt.Sprintf("hubs:\n- {name: builtin, url: 'https://%s', limit: 2, token-file: %s, ca-file: %s}\n",
		d.Hub, filepath.Join(d.directory, "hub-token"), filepath.Join(d.directory, "hub-ca.pem"))
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	worker := func(number int, temporal string, more ...string) *process {
		args := []string{"worker", "--config", config, "--directory", d.scannerDirectory(number), "--drain", "1s", "--scan-client", slowClient(t)}
		return start(t, "perceptor", []string{"TEMPORAL_ADDRESS=" + temporal}, append(args, more...)...)
	}
	worker(0, d.Temporal, "--roles", "workflows,hub")
	worker(1, link.address, "--roles", "scan")
	var scanned []image.Digest
	for i, point := range []string{"RunScanClient", "UploadScan"} {
		reference, digest := d.push(t, "partitioned/"+strings.ToLower(point), imageBytes)
		scanned = append(scanned, digest)
		d.observe(t, reference, digest)
		d.during(t, digest, point)
		link.cut()
		other := worker(2+i, d.Temporal, "--roles", "scan")
		d.complete(t, digest, 4*time.Minute)
		other.kill(t)
		link.mend()
	}
	worker(2, d.Temporal, "--roles", "scan")
	worker(3, d.Temporal, "--roles", "scan")
	d.nothingLeft(t, scanned)
}

// link is a connection to a server that can be cut.
type link struct {
	address string

	lock  sync.Mutex
	down  bool
	conns []net.Conn
}

func newLink(t *testing.T, server string) *link {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &link{address: listener.Addr().String()}
	t.Cleanup(func() { _ = listener.Close(); l.cut() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", server)
			if err != nil || !l.hold(near, far) {
				_ = near.Close()
				continue
			}
			go func() { _, _ = io.Copy(far, near) }()
			go func() { _, _ = io.Copy(near, far) }()
		}
	}()
	return l
}

// hold keeps connections while the link is up.
func (l *link) hold(conns ...net.Conn) bool {
	l.lock.Lock()
	defer l.lock.Unlock()
	if !l.down {
		l.conns = append(l.conns, conns...)
	}
	return !l.down
}

func (l *link) cut() {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.down = true
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.conns = nil
}

func (l *link) mend() {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.down = false
}
