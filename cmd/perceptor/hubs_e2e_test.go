//go:build e2e || bench

package main_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/fault"
)

// hubProcess is a built-in hub in a process of its own, and what reads it from outside.
type hubProcess struct {
	*process
	name  string
	limit int
	// rate is that of its queue in steps per second; 0 bounds nothing.
	rate      float64
	directory string
	address   string
	token     string
	http      *http.Client
}

// startHub starts a hub on a free port and waits until it answers.
func startHub(t testing.TB, b *bench, name string, limit int, faults fault.Faults) *hubProcess {
	t.Helper()
	h := &hubProcess{name: name, limit: limit, directory: filepath.Join(b.directory, "hub-"+name), address: freeAddress(t)}
	text, err := json.Marshal(faults)
	require.NoError(t, err)
	h.process = b.runDev(t, "hub-"+name, "hub", "--directory", h.directory, "--address", h.address, "--faults", string(text))
	eventually(t, 20*time.Second, "hub "+name+" to serve", func() bool { return h.connect() == nil })
	return h
}

// freeAddress is one nobody listens on at the moment.
func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}

func (h *hubProcess) connect() error {
	token, err := os.ReadFile(filepath.Join(h.directory, "hub-token"))
	if err != nil {
		return err
	}
	pem, err := os.ReadFile(filepath.Join(h.directory, "hub-ca.pem"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("no certificate in %s", h.directory)
	}
	h.token = strings.TrimSpace(string(token))
	h.http = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	_, err = h.stats(context.Background())
	return err
}

// control speaks to the part of the hub that no fault switch disturbs.
func (h *hubProcess) control(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, "https://"+h.address+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "token "+h.token)
	response, err := h.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("hub %s answered %d: %s", h.name, response.StatusCode, answer)
	}
	return answer, err
}

// stats is what the hub itself counted.
func (h *hubProcess) stats(ctx context.Context) (fault.Stats, error) {
	var s fault.Stats
	answer, err := h.control(ctx, http.MethodGet, "/internal/stats", nil)
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(answer, &s)
}

// misbehave sets the hub's fault switches; those left out are off afterwards.
func (h *hubProcess) misbehave(ctx context.Context, f fault.Faults) error {
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	_, err = h.control(ctx, http.MethodPut, "/internal/faults", text)
	return err
}

// slow lets every scan take between two times.
func slow(seed uint64, least, most time.Duration) fault.Faults {
	return fault.Faults{Seed: seed, Switches: map[fault.Name]fault.Switch{
		fault.Slow: {Min: fault.Duration(least), Max: fault.Duration(most)},
	}}
}

// with adds a switch.
func with(f fault.Faults, name fault.Name, one fault.Switch) fault.Faults {
	more := fault.Faults{Seed: f.Seed, Switches: map[fault.Name]fault.Switch{name: one}}
	maps.Copy(more.Switches, f.Switches)
	return more
}
