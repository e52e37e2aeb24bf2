package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/perceptor/perceptor/cmd/perceptor-dev/datadir"
	"github.com/perceptor/perceptor/internal/hub/builtin"
	"github.com/perceptor/perceptor/internal/hub/builtin/fault"
	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
)

// sampleLoaded is the file that remembers that the hub got its first records,
// so that a start never replaces records that a user has loaded since.
const sampleLoaded = "hub-sample-loaded"

// hubAuthority is the file, made by the hub, that its clients trust.
const hubAuthority = "hub-ca.pem"

// hubWait bounds how long a new hub may take to answer.
const hubWait = 10 * time.Second

// hub is the built-in hub while it serves.
type hub struct {
	inner *fault.Hub
	end   context.CancelFunc
	ended chan error
}

// openHub opens the hub, gives it the sample of vulnerability records at its
// first start, and serves it on listener.
func openHub(ctx context.Context, dir *datadir.Dir, listener net.Listener, options builtin.Options) (*hub, error) {
	inner, err := fault.Open(options, fault.Faults{})
	if err != nil {
		return nil, fmt.Errorf("open hub: %w", err)
	}
	if err := loadSample(ctx, dir, inner); err != nil {
		return nil, errors.Join(err, inner.Close())
	}
	serving, end := context.WithCancel(context.WithoutCancel(ctx)) // a start's context may end with the start
	running := &hub{inner: inner, end: end, ended: make(chan error, 1)}
	go func() { running.ended <- inner.Serve(serving, listener) }()
	if err := running.awaitServing(ctx, listener.Addr().String(), dir.File(hubAuthority)); err != nil {
		return nil, errors.Join(err, running.stop(ctx))
	}
	return running, nil
}

// awaitServing returns when the hub answers under the certificate that its
// authority, made at its first start, vouches for.
func (h *hub) awaitServing(ctx context.Context, address, authority string) error {
	ctx, cancel := context.WithTimeout(ctx, hubWait)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := greetHub(ctx, address, authority)
		if err == nil {
			return nil
		}
		select {
		case ended := <-h.ended:
			h.ended <- ended // for stop
			return fmt.Errorf("serve hub: %w", ended)
		case <-ctx.Done():
			return fmt.Errorf("wait for hub at %s: %w", address, errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}

func greetHub(ctx context.Context, address, authority string) error {
	pem, err := os.ReadFile(authority)
	if err != nil {
		return err
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(pem)
	connection, err := (&tls.Dialer{Config: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return connection.Close()
}

func loadSample(ctx context.Context, dir *datadir.Dir, inner *fault.Hub) error {
	if _, err := os.Stat(dir.File(sampleLoaded)); err == nil {
		return nil
	}
	if _, err := inner.Load(ctx, osv.SampleLines(), builtin.LoadOptions{Source: "sample", Sample: true}); err != nil {
		return fmt.Errorf("load the hub's first records: %w", err)
	}
	return dir.Write(sampleLoaded, nil)
}

// stop lets running requests finish and closes the hub's file.
func (h *hub) stop(context.Context) error {
	h.end()
	return errors.Join(<-h.ended, h.inner.Close())
}
