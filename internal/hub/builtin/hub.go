package builtin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
)

// Hub is one running hub. Its file is open from Open to Close.
type Hub struct {
	options Options
	log     *slog.Logger
	db      *bbolt.DB
	logins  *logins
	rules   *policy
	cache   *assessmentCache
	// certificate is what Serve shows; nil without a folder for it.
	certificate *tls.Certificate

	// faults are the switches that disturb; traffic counts what was asked.
	faults  *faultSet
	traffic *traffic
	// requests are those not yet written to the file.
	requests atomic.Uint64
	// loading serializes loads of vulnerability data; progress tells of the one that runs.
	loading  sync.Mutex
	progress atomic.Pointer[LoadReport]
	// loadingNumber is the generation being written: set before others can see it, cleared after it came into use.
	loadingNumber atomic.Uint64
	// judgers bounds how many scans are matched at once: matching is work for the processor.
	judgers chan struct{}
	// stale is set from a change of the data until every version is judged by it; wake tells the background of it.
	stale atomic.Bool
	wake  chan struct{}

	context context.Context // it is the hub's own life, not a caller's
	stop    context.CancelFunc
	lock    sync.Mutex // guards closed and additions to work
	closed  bool
	work    sync.WaitGroup
}

// parallelJudging is how many scans are matched at the same time.
const parallelJudging = 2

// Open opens the hub's file and goes on with what it was at: scans that were accepted, and versions not yet judged by the
// newest data. Secrets and certificates that are missing are made. It serves nothing until Handler or Serve is used.
func Open(options Options) (*Hub, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	rules, err := loadPolicy(options.PolicyFile)
	if err != nil {
		return nil, err
	}
	token, err := ensureSecret(options.TokenFile)
	if err != nil {
		return nil, err
	}
	password, err := ensureSecret(options.PasswordFile)
	if err != nil {
		return nil, err
	}
	certificate, err := serverCertificate(options.CertDir, options.Hosts, options.Clock.Now())
	if err != nil {
		return nil, err
	}
	db, err := openStore(options.File)
	if err != nil {
		return nil, err
	}
	h := &Hub{
		options: options, log: options.Logger, db: db, rules: rules, cache: newAssessmentCache(), certificate: certificate,
		judgers: make(chan struct{}, parallelJudging), wake: make(chan struct{}, 1),
		faults: newFaultSet(options.Faults, options.Clock),
	}
	h.context, h.stop = context.WithCancel(context.Background())
	if h.logins, err = newLogins(db, token, password); err == nil {
		h.traffic, err = loadTraffic(db)
	}
	if err == nil {
		err = h.resume()
	}
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// resume starts everything that goes on in the background.
func (h *Hub) resume() error {
	var running []scan
	err := h.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(activeBucket)).ForEach(func(id, _ []byte) error {
			s, err := findScan(tx, string(id))
			running = append(running, s)
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("find the scans to go on with: %w", err)
	}
	for _, s := range running {
		h.start(s)
	}
	h.rejudgeAll()
	h.goOn(h.keepJudged)
	h.goOn(h.keepHouse)
	return nil
}

// goOn runs a part of the hub until Close, unless that has begun.
func (h *Hub) goOn(part func()) {
	h.lock.Lock()
	defer h.lock.Unlock()
	if !h.closed {
		h.work.Go(part)
	}
}

// Close stops the hub's work and closes its file. Running scans go on at the next Open.
func (h *Hub) Close() error {
	h.lock.Lock()
	already := h.closed
	h.closed = true
	h.lock.Unlock()
	if already {
		return nil
	}
	h.stop()
	h.work.Wait()
	if err := errors.Join(h.flushRequests(), h.db.Close()); err != nil {
		return fmt.Errorf("close the hub: %w", err)
	}
	return nil
}

const (
	// headerTimeout and idleTimeout protect the hub from callers that say nothing; bodies may take as long as they need.
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	// stopGrace is how long running requests may finish after a stop.
	stopGrace = 5 * time.Second
)

// Serve answers over TLS until ctx ends, then takes no more uploads, lets running requests finish for five seconds and
// returns nil. It closes the listener. Close is still to be called.
func (h *Hub) Serve(ctx context.Context, listener net.Listener) error {
	if h.certificate == nil {
		return errors.Join(errors.New("serve the hub: option CertDir is empty: name a folder for its certificate"), listener.Close())
	}
	server := &http.Server{
		Handler: h.Handler(), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*h.certificate}},
		ErrorLog:  slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.ServeTLS(listener, "", "") }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve the hub: %w", err)
	case <-ctx.Done():
	}
	h.stop() // uploads that wait for their acceptance are told to come back
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		h.log.Warn("requests were cut off", "error", err)
		err = server.Close()
		if err != nil {
			return fmt.Errorf("stop the hub's server: %w", err)
		}
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the hub: %w", err)
	}
	return nil
}
