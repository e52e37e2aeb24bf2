package rig

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

// HubProcess is a built-in hub in a process of its own, and what reads it from outside.
type HubProcess struct {
	*Program
	Name  string
	Limit int
	// Rate is the limit of its queue in steps per second; 0 is no limit.
	Rate      float64
	Directory string
	Address   string
	token     string
	http      *http.Client
	faults    string
}

// StartHub starts a hub on a free port and waits until it answers.
func StartHub(t testing.TB, b *System, name string, limit int, faults fault.Faults) *HubProcess {
	t.Helper()
	h := &HubProcess{Name: name, Limit: limit, Directory: filepath.Join(b.Root, "hub-"+name), Address: FreeAddress(t)}
	text, err := json.Marshal(faults)
	require.NoError(t, err)
	h.faults = string(text)
	h.serve(t, b, "hub-"+name)
	return h
}

func (h *HubProcess) serve(t testing.TB, b *System, log string) {
	t.Helper()
	h.Program = b.StartDev(t, log, "hub", "--directory", h.Directory, "--address", h.Address, "--faults", h.faults)
	Eventually(t, 20*time.Second, "hub "+h.Name+" to serve", func() bool { return h.connect() == nil })
}

// Restart kills the hub and starts it again at the same address, without its database where that is to be lost.
func (h *HubProcess) Restart(t testing.TB, b *System, lost bool) {
	t.Helper()
	h.Kill(t)
	if lost {
		require.NoError(t, os.Remove(filepath.Join(h.Directory, "hub.db")))
	}
	h.serve(t, b, "hub-"+h.Name+"-again")
}

// FreeAddress is an address that is not in use at the moment.
func FreeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}

func (h *HubProcess) connect() error {
	token, err := os.ReadFile(filepath.Join(h.Directory, "hub-token"))
	if err != nil {
		return err
	}
	pem, err := os.ReadFile(filepath.Join(h.Directory, "hub-ca.pem"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("no certificate in %s", h.Directory)
	}
	h.token = strings.TrimSpace(string(token))
	h.http = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	_, err = h.Stats(context.Background())
	return err
}

// control calls the part of the hub that no fault switch disturbs.
func (h *HubProcess) control(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, "https://"+h.Address+path, bytes.NewReader(body))
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
		err = fmt.Errorf("hub %s answered %d: %s", h.Name, response.StatusCode, answer)
	}
	return answer, err
}

// Stats is what the hub itself counted.
func (h *HubProcess) Stats(ctx context.Context) (fault.Stats, error) {
	var s fault.Stats
	answer, err := h.control(ctx, http.MethodGet, "/internal/stats", nil)
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(answer, &s)
}

// SetFaults sets the hub's fault switches. Those left out are off afterwards.
func (h *HubProcess) SetFaults(ctx context.Context, f fault.Faults) error {
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	_, err = h.control(ctx, http.MethodPut, "/internal/faults", text)
	return err
}

// SlowFaults lets every scan take a time between these two.
func SlowFaults(seed uint64, least, most time.Duration) fault.Faults {
	return fault.Faults{Seed: seed, Switches: map[fault.Name]fault.Switch{
		fault.Slow: {Min: fault.Duration(least), Max: fault.Duration(most)},
	}}
}

// WithFault adds a switch.
func WithFault(f fault.Faults, name fault.Name, one fault.Switch) fault.Faults {
	more := fault.Faults{Seed: f.Seed, Switches: map[fault.Name]fault.Switch{name: one}}
	maps.Copy(more.Switches, f.Switches)
	return more
}
