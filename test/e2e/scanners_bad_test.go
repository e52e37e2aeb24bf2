//go:build e2e

package e2e_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
)

// TestBadScannersOfOthers: a scanner takes an image and dies, another reports success without a scan, both report on images of others
// and more than once. Each image is scanned once in the end, and nothing counts but what the hub has.
func TestBadScannersOfOthers(t *testing.T) {
	d := startDev(t)
	config, tokens, address := filepath.Join(d.Directory, "api.yaml"), filepath.Join(d.Directory, "scanner-tokens.yaml"), rig.FreeAddress(t)
	require.NoError(t, os.WriteFile(config, []byte(fmt.Sprintf(
		"hubs:\n- {name: main, url: 'https://%s', limit: 2, username: sysadmin, password-file: %s/hub-password, ca-file: %s/hub-ca.pem}\n", d.Hub, d.Directory, d.Directory)), 0o600))
	require.NoError(t, os.WriteFile(tokens, []byte(`tokens:
- {name: good, scope: scanner, cluster: "*", token: the-good-scanner-token}
- {name: bad, scope: scanner, cluster: "*", token: the-bad-scanner-tokens}
`), 0o600))
	worker := []string{"TEMPORAL_ADDRESS=" + d.Temporal}
	rig.Start(t, "perceptor", worker, "worker", "--config", config, "--roles", "workflows,hub")
	api := rig.Start(t, "perceptor", worker, "api", "--config", config, "--token-file", tokens, "--address", address, "--scanner-hubs", "main", "--scanner-silence", "10s")
	rig.Eventually(t, time.Minute, "the API to listen", func() bool { return strings.Contains(api.Transcript.String(), "api is listening") })
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	hub := &http.Client{Timeout: 20 * time.Second, Jar: jar, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // as in 2018
	scanner := func(token string) *scanner2018 {
		return &scanner2018{API: "http://" + address, Token: token, Registry: d.Registry, core: &http.Client{Timeout: 5 * time.Second}, hub: hub}
	}
	good, bad := scanner("the-good-scanner-token"), scanner("the-bad-scanner-tokens")
	take := func(s *scanner2018) map[string]any {
		t.Helper()
		var spec map[string]any
		rig.Eventually(t, 3*time.Minute, "an image", func() bool {
			var err error
			spec, err = s.next()
			return err == nil && spec != nil
		})
		return spec
	}
	var digests []model.Digest
	for i := range 2 {
		reference, digest := d.PushApp(t, fmt.Sprintf("scanners/image-%d", i), 1<<10)
		d.Observe(t, reference, digest)
		digests = append(digests, digest)
	}

	take(bad) // and dies
	silent := bad.sha
	lied := take(bad)
	require.ErrorContains(t, good.report(lied, ""), "409", "another scanner has the image")
	require.NoError(t, bad.report(lied, ""), "the hub is asked later")
	require.NoError(t, bad.report(lied, ""), "a report may arrive twice")
	require.ErrorContains(t, bad.report(map[string]any{"Sha": strings.Repeat("0", 64)}, ""), "404")
	require.ErrorContains(t, bad.report(nil, ""), "400")

	// Both images come back, in any order, and go to the scanner that works.
	for range digests {
		spec := take(good)
		require.Contains(t, []string{silent, lied["Sha"].(string)}, good.sha)
		require.NoError(t, good.work(spec))
		require.NoError(t, good.report(spec, ""))
		require.NoError(t, good.report(spec, ""))
	}
	for _, digest := range digests {
		view := d.AwaitVerdict(t, digest, time.Minute)
		require.Len(t, view.Verdicts, 1)
		require.Equal(t, 1, d.Stats(t).ScansByName[digest.Hex()])
	}
	require.NoError(t, bad.report(lied, ""), "a late report changes nothing")
	status, err := d.Starter.Pool.Status(t.Context())
	require.NoError(t, err)
	require.Empty(t, status.Leases)
	metrics, err := http.Get("http://" + address + "/metrics")
	require.NoError(t, err)
	defer metrics.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(metrics.Body)
	require.NoError(t, err)
	for _, line := range []string{
		`perceptor_core_external_reports_total{outcome="other-scanner"} 1`, `perceptor_core_external_reports_total{outcome="unknown-image"} 1`,
		`perceptor_core_external_reports_total{outcome="accepted"} 3`,
	} {
		require.Contains(t, string(text), line)
	}
	require.NotContains(t, api.Transcript.String(), "the-bad-scanner-tokens")
}
