//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
)

// TestPartitionedScanner cuts a scanner off from Temporal while it uploads; the hub and the registry it still reaches.
// Another scanner is there to take the image over, and the hub has exactly one successful scan of it, also after the first
// one is back.
func TestPartitionedScanner(t *testing.T) {
	d := startSlowDev(t)
	link := newLink(t, d.Temporal)
	config := filepath.Join(t.TempDir(), "perceptor.yaml")
	text := fmt.Sprintf("hubs:\n- {name: builtin, url: 'https://%s', limit: 2, token-file: %s, ca-file: %s}\n",
		d.Hub, filepath.Join(d.Directory, "hub-token"), filepath.Join(d.Directory, "hub-ca.pem"))
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	worker := func(number int, temporal, roles string) *rig.Program {
		return rig.Start(t, "perceptor", []string{"TEMPORAL_ADDRESS=" + temporal},
			"worker", "--config", config, "--directory", d.ScannerDirectory(number), "--drain", "1s", "--roles", roles)
	}
	worker(0, d.Temporal, "workflows,hub")
	worker(1, link.address, "scan")
	reference, digest := d.PushRandom(t, "partitioned/upload", imageBytes)
	d.Observe(t, reference, digest)
	d.AwaitStep(t, digest, "UploadScan")
	link.cut()
	worker(2, d.Temporal, "scan")
	d.AwaitVerdict(t, digest, 4*time.Minute)
	link.restore()
	d.nothingLeft(t, []model.Digest{digest})
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

func (l *link) restore() {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.down = false
}
