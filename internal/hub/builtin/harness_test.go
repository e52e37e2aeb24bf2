package builtin_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin"
	"github.com/perceptor/perceptor/internal/hub/builtin/fault"
)

// patience is how long a test waits for what must happen; nothing is expected to take that long.
const patience = 20 * time.Second

// manualClock moves only when a test says so.
type manualClock struct {
	lock   sync.Mutex
	now    time.Time
	timers []timer
}

type timer struct {
	at   time.Time
	ring chan time.Time
}

func newClock() *manualClock {
	return &manualClock{now: time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)}
}

func (c *manualClock) Now() time.Time {
	c.lock.Lock()
	defer c.lock.Unlock()
	return c.now
}

func (c *manualClock) After(d time.Duration) <-chan time.Time {
	c.lock.Lock()
	defer c.lock.Unlock()
	ring := make(chan time.Time, 1)
	c.timers = append(c.timers, timer{c.now.Add(d), ring})
	c.ringDue()
	return ring
}

func (c *manualClock) Advance(d time.Duration) {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.now = c.now.Add(d)
	c.ringDue()
}

func (c *manualClock) ringDue() {
	var later []timer
	for _, t := range c.timers {
		if t.at.After(c.now) {
			later = append(later, t)
			continue
		}
		t.ring <- c.now
	}
	c.timers = later
}

// Waits counts who waits for exactly that long from now.
func (c *manualClock) Waits(d time.Duration) int {
	c.lock.Lock()
	defer c.lock.Unlock()
	n := 0
	for _, t := range c.timers {
		if t.at.Equal(c.now.Add(d)) {
			n++
		}
	}
	return n
}

// logLines keeps what the hub logged.
type logLines struct {
	lock sync.Mutex
	text strings.Builder
}

func (l *logLines) Write(p []byte) (int, error) {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.text.Write(p)
}

func (l *logLines) String() string {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.text.String()
}

// testHub is a hub behind TLS with a client that is logged in.
type testHub struct {
	*fault.Hub
	t       *testing.T
	dir     string
	clock   *manualClock
	log     *logLines
	base    string
	client  *http.Client
	bearer  string
	csrf    string
	options builtin.Options
	stop    func()
}

func optionsIn(dir string) builtin.Options {
	return builtin.Options{
		File: filepath.Join(dir, "hub.db"), TokenFile: filepath.Join(dir, "hub-token"), PasswordFile: filepath.Join(dir, "hub-password"),
		CertDir: dir, Version: "2026.1.1",
	}
}

// open starts a hub in a folder; change may set more options.
func open(t *testing.T, dir string, change ...func(*builtin.Options)) *testHub {
	t.Helper()
	return openFaulty(t, dir, fault.Faults{}, change...)
}

// openFaulty starts a hub with fault switches to begin with.
func openFaulty(t *testing.T, dir string, faults fault.Faults, change ...func(*builtin.Options)) *testHub {
	t.Helper()
	h := &testHub{t: t, dir: dir, clock: newClock(), log: &logLines{}, options: optionsIn(dir)}
	h.options.Clock, h.options.Logger = h.clock, slog.New(slog.NewTextHandler(h.log, nil))
	for _, each := range change {
		each(&h.options)
	}
	var err error
	h.Hub, err = fault.Open(h.options, faults)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- h.Serve(ctx, listener) }()
	h.base = "https://" + listener.Addr().String()
	h.stop = sync.OnceFunc(func() {
		h.client.CloseIdleConnections()
		cancel()
		require.NoError(t, <-served)
		require.NoError(t, h.Close())
	})
	t.Cleanup(h.stop)
	h.connect()
	return h
}

// connect trusts the hub's authority and logs in with its token.
func (h *testHub) connect() {
	h.client = clientFor(h.t, h.dir)
	require.Eventually(h.t, func() bool { return h.login() == nil }, patience, 5*time.Millisecond)
}

func clientFor(t *testing.T, dir string) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	require.Eventually(t, func() bool {
		pem, err := os.ReadFile(filepath.Join(dir, "hub-ca.pem"))
		return err == nil && roots.AppendCertsFromPEM(pem)
	}, patience, 5*time.Millisecond)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: false}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func (h *testHub) token() string {
	raw, err := os.ReadFile(filepath.Join(h.dir, "hub-token"))
	require.NoError(h.t, err)
	return strings.TrimSpace(string(raw))
}

func (h *testHub) login() error {
	request, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, h.base+"/api/tokens/authenticate", nil)
	require.NoError(h.t, err)
	request.Header.Set("Authorization", "token "+h.token())
	answer, err := h.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	var body struct {
		BearerToken string `json:"bearerToken"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
		return err
	}
	h.bearer, h.csrf = body.BearerToken, answer.Header.Get("X-CSRF-TOKEN")
	return nil
}
