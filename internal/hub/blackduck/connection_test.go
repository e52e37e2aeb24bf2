package blackduck_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/blackduck"
	"github.com/perceptor/perceptor/model"
)

// connectionOptions trust the server by its own certificate, through a CA file as in real use.
func connectionOptions(t *testing.T, hub *httptest.Server) blackduck.Options {
	t.Helper()
	o := tokenOptions(t, hub)
	o.Transport = nil
	o.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	writeCertificate(t, o.CAFile, hub)
	return o
}

func TestConnection(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		hub := httptest.NewTLSServer(http.NotFoundHandler())
		options := connectionOptions(t, hub)
		hub.Close()
		_, err := newClient(t, options).FindScan(t.Context(), sampleName)
		requireFailure(t, err, failureCase{symptom: "network", class: model.Transient, says: "the hub cannot be reached"})
	})
	t.Run("broken off", func(t *testing.T) {
		hub := newFakeHub(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		_, err := newClient(t, connectionOptions(t, hub.Server)).FindScan(t.Context(), sampleName)
		requireFailure(t, err, failureCase{symptom: "network", class: model.Transient})
	})
	t.Run("unknown authority", func(t *testing.T) {
		hub := newFakeHub(t, answer(200, jsonType, "{}"))
		options := connectionOptions(t, hub.Server)
		options.CAFile = ""
		_, err := newClient(t, options).FindScan(t.Context(), sampleName)
		requireFailure(t, err, failureCase{symptom: "certificate", class: model.Invalid, says: "certificate not trusted: set the hub's CA file"})
	})
	t.Run("insecure on request", func(t *testing.T) {
		hub := newFakeHub(t, answer(200, jsonType, `{"totalCount": 0, "items": []}`))
		options := connectionOptions(t, hub.Server)
		options.CAFile, options.Insecure = "", true
		scan, err := newClient(t, options).FindScan(t.Context(), sampleName)
		require.NoError(t, err)
		require.Equal(t, model.HubScanAbsent, scan.State)
	})
	t.Run("wrong name", func(t *testing.T) {
		hub := newFakeHub(t, answer(200, jsonType, "{}"))
		options := connectionOptions(t, hub.Server)
		options.URL = strings.Replace(hub.URL, "127.0.0.1", "localhost", 1)
		_, err := newClient(t, options).FindScan(t.Context(), sampleName)
		requireFailure(t, err, failureCase{symptom: "certificate", class: model.Invalid})
	})
	t.Run("plain http server", func(t *testing.T) {
		hub := httptest.NewServer(http.NotFoundHandler())
		t.Cleanup(hub.Close)
		options := blackduck.Options{Name: "prod", URL: strings.Replace(hub.URL, "http:", "https:", 1), TokenFile: secretFile(t, testToken)}
		_, err := newClient(t, options).FindScan(t.Context(), sampleName)
		requireFailure(t, err, failureCase{symptom: "no TLS", class: model.Invalid, says: "is there an https server"})
	})
}

// TestMetadataServiceIsNoHub: the name of a hub may resolve to anything. Loopback and private networks are where hubs are.
func TestMetadataServiceIsNoHub(t *testing.T) {
	for _, address := range []string{"https://169.254.169.254", "https://[fe80::1]", "https://[::ffff:169.254.169.254]"} {
		client, err := blackduck.New(blackduck.Options{Name: "main", URL: address, TokenFile: connectionOptions(t, newFakeHub(t, nil).Server).TokenFile})
		require.NoError(t, err)
		_, err = client.FindScan(t.Context(), sampleName)
		require.ErrorContains(t, err, "address, which may not be called from here", address)
	}
}

func TestNoAnswer(t *testing.T) {
	hang := func(t *testing.T) *fakeHub {
		t.Helper()
		release := make(chan struct{})
		hub := newFakeHub(t, func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		})
		t.Cleanup(func() { close(release) })
		return hub
	}
	t.Run("request timeout", func(t *testing.T) {
		options := connectionOptions(t, hang(t).Server)
		options.Timeout = 300 * time.Millisecond
		_, err := newClient(t, options).FindScan(t.Context(), sampleName)
		requireFailure(t, err, failureCase{symptom: "timeout", class: model.Transient, says: "did not answer in time"})
	})
	t.Run("caller gives up", func(t *testing.T) {
		hub := hang(t)
		ctx, cancel := context.WithCancel(t.Context())
		serve := hub.serve
		hub.serve = func(w http.ResponseWriter, r *http.Request) {
			cancel() // the request is under way
			serve(w, r)
		}
		_, err := newClient(t, connectionOptions(t, hub.Server)).FindScan(ctx, sampleName)
		requireFailure(t, err, failureCase{symptom: "cancelled", class: model.Transient})
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestLimiter(t *testing.T) {
	t.Run("no turn in time", func(t *testing.T) {
		hub := newFakeHub(t, answer(200, jsonType, "{}"))
		options := tokenOptions(t, hub.Server)
		options.RequestsPerSecond = 0.0001 // the second request would wait for hours
		_, err := newClient(t, options).FindScan(t.Context(), sampleName)
		requireFailure(t, err, failureCase{symptom: "limiter", class: model.Transient, says: "request limit is used up"})
		require.Equal(t, 1, hub.loginCount())
	})
	for _, c := range []struct {
		name  string
		rate  float64
		burst int
	}{{"slow", 0.5, 1}, {"one", 1, 1}, {"nineteen", 19, 1}, {"two hundred", 200, 20}} {
		t.Run(c.name, func(t *testing.T) {
			client := newClient(t, blackduck.Options{Name: "a", URL: "https://hub.example", TokenFile: "x", RequestsPerSecond: c.rate})
			rate, burst := client.Limits()
			require.InDelta(t, c.rate, rate, 1e-9)
			require.Equal(t, c.burst, burst)
		})
	}
}

func TestSecretFiles(t *testing.T) {
	folder := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	for name, path := range map[string]string{
		"missing":   filepath.Join(folder, "nowhere"),
		"empty":     write("empty", "\n\n"),
		"two lines": write("two", testToken+"\n"+testPassword),
		"huge":      write("huge", strings.Repeat("x", 70_000)),
		"a folder":  folder,
	} {
		t.Run(name, func(t *testing.T) {
			client := newClient(t, blackduck.Options{Name: "prod", URL: "https://hub.example", TokenFile: path})
			_, err := client.UploadTarget(t.Context())
			requireFailure(t, err, failureCase{symptom: "secret", class: model.Unauthorized, says: path})
			_, err = client.FindScan(t.Context(), sampleName)
			requireFailure(t, err, failureCase{symptom: "secret", class: model.Unauthorized, says: "log in"})
		})
	}
}

func TestArguments(t *testing.T) {
	hub := newFakeHub(t, answer(200, jsonType, "{}"))
	client := newClient(t, tokenOptions(t, hub.Server))
	wrongVersion := hub.URL + "/api/projects/p"
	for name, run := range map[string]func() error{
		"find no name":     func() error { _, err := client.FindScan(t.Context(), " "); return err },
		"state of nothing": func() error { _, err := client.ScanState(t.Context(), model.HubScan{}); return err },
		"state of no id":   func() error { _, err := client.ScanState(t.Context(), model.HubScan{ScanID: "../x"}); return err },
		"state of no location": func() error {
			_, err := client.ScanState(t.Context(), model.HubScan{CodeLocationURL: "/api/x"})
			return err
		},
		"verdict of no version":     func() error { _, err := client.Verdict(t.Context(), model.HubScan{}); return err },
		"findings of a project":     func() error { _, err := client.Findings(t.Context(), wrongVersion, 0, 1); return err },
		"findings before the first": func() error { _, err := client.Findings(t.Context(), hub.URL+sampleVersion, -1, 1); return err },
		"no findings":               func() error { _, err := client.Findings(t.Context(), hub.URL+sampleVersion, 0, 0); return err },
		"names of a project":        func() error { _, err := client.ScanNames(t.Context(), wrongVersion); return err },
		"delete a whole project":    func() error { return client.DeleteVersion(t.Context(), wrongVersion) },
		"delete all":                func() error { return client.DeleteCodeLocation(t.Context(), hub.URL+"/api/codelocations/") },
		"delete above":              func() error { return client.DeleteVersion(t.Context(), hub.URL+sampleVersion+"/..") },
		"changes backwards":         func() error { _, _, err := client.Changes(t.Context(), time.Unix(9, 0), time.Unix(1, 0)); return err },
	} {
		t.Run(name, func(t *testing.T) {
			requireFailure(t, run(), failureCase{symptom: "argument", class: model.Invalid, says: "was not sent"})
		})
	}
}

func TestDegraded(t *testing.T) {
	hub := newFakeHub(t, answer(200, jsonType, `{"readiness": "DEGRADED", "items": []}`))
	err := newClient(t, tokenOptions(t, hub.Server)).Ready(t.Context())
	requireFailure(t, err, failureCase{symptom: "degraded", class: model.Throttled, says: "accepts no scans for now"})
}
