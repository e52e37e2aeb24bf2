package blackduck_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/blackduck"
	"github.com/perceptor/perceptor/internal/hub/builtin"
	"github.com/perceptor/perceptor/model"
)

// patience bounds what is awaited; nothing is expected to take that long.
const patience = 20 * time.Second

// realHub is the built-in hub behind its own TLS, in a folder of the test.
type realHub struct {
	dir, url string
	client   *blackduck.Client
	// old says that it is spoken to as an old hub.
	old bool
}

func startHub(t *testing.T, change func(*blackduck.Options)) *realHub {
	t.Helper()
	h := &realHub{dir: t.TempDir()}
	hub, err := builtin.Open(builtin.Options{
		File: filepath.Join(h.dir, "hub.db"), TokenFile: filepath.Join(h.dir, "hub-token"),
		PasswordFile: filepath.Join(h.dir, "hub-password"), CertDir: h.dir,
	})
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- hub.Serve(ctx, listener) }()
	h.url = "https://" + listener.Addr().String()
	options := blackduck.Options{Name: "builtin", URL: h.url, TokenFile: filepath.Join(h.dir, "hub-token"), CAFile: filepath.Join(h.dir, "hub-ca.pem")}
	change(&options)
	h.old = options.Generation == blackduck.GenerationOld
	require.Eventually(t, func() bool {
		h.client, err = blackduck.New(options) // the certificate is made when the hub begins to serve
		return err == nil && h.client.Ready(t.Context()) == nil
	}, patience, 5*time.Millisecond)
	t.Cleanup(func() {
		h.client.Close()
		cancel()
		require.NoError(t, <-served)
		require.NoError(t, hub.Close())
	})
	return h
}

// logins are the ways to reach the built-in hub.
var logins = map[string]func(*blackduck.Options){
	"token": func(*blackduck.Options) {},
	"password": func(o *blackduck.Options) {
		o.TokenFile, o.Username, o.PasswordFile = "", builtin.User, filepath.Join(filepath.Dir(o.TokenFile), "hub-password")
	},
	"old generation": func(o *blackduck.Options) {
		o.TokenFile, o.Username, o.PasswordFile = "", builtin.User, filepath.Join(filepath.Dir(o.TokenFile), "hub-password")
		o.Generation = blackduck.GenerationOld
	},
}

// TestAgainstBuiltinHub goes the whole way of one image: unknown, uploaded, complete, judged, judged again, deleted.
func TestAgainstBuiltinHub(t *testing.T) {
	for name, change := range logins {
		t.Run(name, func(t *testing.T) {
			h := startHub(t, change)
			h.load(t, affected("TEST-1", "1.2.0", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"))
			scan, err := h.client.FindScan(t.Context(), sampleName)
			require.NoError(t, err)
			require.Equal(t, model.HubScanAbsent, scan.State)

			uploaded := h.upload(t, sampleName, "pkg:npm/rotten@1.0.0", "pkg:npm/fresh@2.0.0", "pkg:cargo/unknown@1.0.0")
			h.upload(t, sampleName+"-neighbour", "pkg:npm/fresh@2.0.0")
			h.requireComplete(t, model.HubScan{Name: sampleName, ScanID: uploaded})
			scan, err = h.client.FindScan(t.Context(), strings.ToUpper(sampleName))
			require.NoError(t, err)
			require.Equal(t, uploaded, scan.ScanID)
			h.requireComplete(t, model.HubScan{Name: sampleName, CodeLocationURL: scan.CodeLocationURL})

			h.requireVerdict(t, scan)
			h.requireFindings(t, scan)
			h.requireRejudged(t, scan)
			h.requireDeleted(t, scan)
		})
	}
}

func (h *realHub) requireComplete(t *testing.T, scan model.HubScan) {
	t.Helper()
	require.Eventually(t, func() bool {
		got, err := h.client.ScanState(t.Context(), scan)
		return err == nil && got.State == model.HubScanComplete
	}, patience, 5*time.Millisecond)
}

func (h *realHub) requireVerdict(t *testing.T, scan model.HubScan) {
	t.Helper()
	verdict, err := h.client.Verdict(t.Context(), scan)
	require.NoError(t, err)
	require.Equal(t, "builtin", verdict.Hub)
	require.Equal(t, model.InViolation, verdict.OverallStatus)
	require.Equal(t, 1, verdict.PolicyViolations)
	require.Equal(t, model.Counts{Critical: 1}, verdict.Vulnerabilities)
	require.Equal(t, 3, verdict.Components)
	require.Equal(t, 1, verdict.NotAssessed)
	require.Equal(t, []model.NotAssessed{{Reason: model.NoData, Count: 1}}, verdict.Coverage.NotAssessed)
	require.False(t, verdict.Coverage.Satisfied)
	require.Equal(t, "npm", verdict.Coverage.Data[0].Ecosystem)
	require.True(t, verdict.Coverage.Data[0].Complete)
	require.Equal(t, 1, verdict.Findings)
	require.Equal(t, scan.VersionURL, verdict.VersionURL)
	require.False(t, verdict.JudgedAt.IsZero())
}

func (h *realHub) requireFindings(t *testing.T, scan model.HubScan) {
	t.Helper()
	page, err := h.client.Findings(t.Context(), scan.VersionURL, 0, 10)
	require.NoError(t, err)
	require.Equal(t, 1, page.Total)
	found := page.Findings[0]
	require.Equal(t, "TEST-1", found.ID)
	require.Equal(t, model.SeverityCritical, found.Severity)
	require.InDelta(t, 9.8, found.Score, 0.01)
	require.Equal(t, "rotten", found.Package)
	require.Equal(t, "1.0.0", found.Version)
	require.Equal(t, "1.2.0", found.Fixed)
	require.Equal(t, "pkg:npm/rotten@1.0.0", found.PURL)
}

// requireRejudged loads data that clears the image: the hub names its version among the changes, and the verdict is new.
func (h *realHub) requireRejudged(t *testing.T, scan model.HubScan) {
	t.Helper()
	before, err := h.client.Verdict(t.Context(), scan)
	require.NoError(t, err)
	fixed := affected("TEST-1", "0.9.0", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H")
	h.load(t, fixed)
	require.Eventually(t, func() bool {
		partly, err := h.client.Verdict(t.Context(), scan)
		return err == nil && partly.OverallStatus == model.OverallUnknown && partly.Findings == 0 && partly.Coverage.Reason != ""
	}, patience, 5*time.Millisecond, "one of its packages has no data yet")
	other := strings.Replace(strings.Replace(fixed, `"npm", "name": "rotten"`, `"crates.io", "name": "other"`, 1), "TEST-1", "TEST-2", 1)
	h.load(t, fixed, other)
	var after model.Verdict
	// A reading that was overtaken by the hub between two of its calls has the older time, and is read again.
	require.Eventually(t, func() bool {
		after, err = h.client.Verdict(t.Context(), scan)
		return err == nil && after.JudgedAt.After(before.JudgedAt) && after.OverallStatus == model.NotInViolation && after.Findings == 0
	}, patience, 5*time.Millisecond)
	require.True(t, after.Newer(before))
	kinds := h.kindsOf(t, before.JudgedAt, scan.VersionURL)
	require.Contains(t, kinds, model.HubChangeVulnerability)
	require.Contains(t, kinds, model.HubChangePolicy)
	require.NotContains(t, kinds, model.HubChangeRemoved)
	for kind, at := range kinds {
		require.False(t, at.After(after.JudgedAt), "a reader who has read this verdict has missed no change: %s at %v", kind, at)
	}
	digests, err := h.client.DigestsOf(t.Context(), scan.VersionURL)
	require.NoError(t, err)
	require.Equal(t, []model.Digest{"sha256:" + sampleName}, digests)
}

func (h *realHub) kindsOf(t *testing.T, since time.Time, versionURL string) map[model.HubChangeKind]time.Time {
	t.Helper()
	changes, asOf, err := h.client.Changes(t.Context(), since, time.Now().Add(time.Minute))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), asOf, time.Minute, "the hub's clock is this machine's")
	kinds := map[model.HubChangeKind]time.Time{}
	for _, change := range changes {
		if change.VersionURL == versionURL {
			kinds[change.Kind] = change.At
		}
	}
	return kinds
}

func (h *realHub) requireDeleted(t *testing.T, scan model.HubScan) {
	t.Helper()
	require.NoError(t, h.client.DeleteVersion(t.Context(), scan.VersionURL))
	require.NoError(t, h.client.DeleteVersion(t.Context(), scan.VersionURL), "twice is no error")
	if !h.old { // that generation has no notification of it
		require.Contains(t, h.kindsOf(t, scan.StartedAt, scan.VersionURL), model.HubChangeRemoved)
	}
	_, err := h.client.Verdict(t.Context(), scan)
	requireClass(t, err, model.NotFound)
	_, err = h.client.ScanNames(t.Context(), scan.VersionURL)
	requireClass(t, err, model.NotFound)
	require.NoError(t, h.client.DeleteCodeLocation(t.Context(), scan.CodeLocationURL))
	gone, err := h.client.ScanState(t.Context(), scan)
	require.NoError(t, err)
	require.Equal(t, model.HubScanAbsent, gone.State)
	gone, err = h.client.FindScan(t.Context(), scan.Name)
	require.NoError(t, err)
	require.Equal(t, model.HubScanAbsent, gone.State)
}

func requireClass(t *testing.T, err error, class model.FailureClass) {
	t.Helper()
	var e *blackduck.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, class, e.FailureClass())
}

// affected is an OSV record of the npm package "rotten" below a version.
func affected(id, fixed, vector string) string {
	return fmt.Sprintf(`{"schema_version": "1.7.0", "id": %q, "modified": "2025-06-01T00:00:00Z", "published": "2025-05-01T00:00:00Z",`+
		`"severity": [{"type": "CVSS_V3", "score": %q}], "affected": [{"package": {"ecosystem": "npm", "name": "rotten"},`+
		`"ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": %q}]}]}]}`, id, vector, fixed)
}

// send is a scan client's request, made by hand: the driver itself uploads nothing.
func (h *realHub) send(t *testing.T, method, path, contentType string, body io.Reader) *http.Response {
	t.Helper()
	target, err := h.client.UploadTarget(t.Context())
	require.NoError(t, err)
	token, err := os.ReadFile(filepath.Join(h.dir, "hub-token"))
	require.NoError(t, err)
	client := &http.Client{Transport: insecureTransport(t)}
	login, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target.URL+"/api/tokens/authenticate", nil)
	require.NoError(t, err)
	login.Header.Set("Authorization", "token "+strings.TrimSpace(string(token)))
	granted, err := client.Do(login)
	require.NoError(t, err)
	var grant struct {
		BearerToken string `json:"bearerToken"`
	}
	require.NoError(t, json.NewDecoder(granted.Body).Decode(&grant))
	require.NoError(t, granted.Body.Close())
	request, err := http.NewRequestWithContext(t.Context(), method, target.URL+path, body)
	require.NoError(t, err)
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("Authorization", "Bearer "+grant.BearerToken)
	request.Header.Set("X-CSRF-TOKEN", granted.Header.Get("X-CSRF-TOKEN"))
	response, err := client.Do(request)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, response.Body.Close()) })
	return response
}

func (h *realHub) load(t *testing.T, records ...string) {
	t.Helper()
	path := "/internal/vulnerability-data?mode=replace&complete=true&asOf=" + time.Now().UTC().Format(time.RFC3339)
	response := h.send(t, http.MethodPut, path, "application/x-ndjson", strings.NewReader(strings.Join(records, "\n")))
	require.Equal(t, http.StatusOK, response.StatusCode)
}

// upload gives the scan's id.
func (h *realHub) upload(t *testing.T, scanName string, packages ...string) string {
	t.Helper()
	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	for name, value := range map[string]string{"projectName": "registry.example/app", "versionName": scanName[:20] + scanName[64:], "codeLocationName": scanName} {
		require.NoError(t, parts.WriteField(name, value))
	}
	file, err := parts.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="file"; filename="bom.json"`}, "Content-Type": {"application/vnd.cyclonedx"},
	})
	require.NoError(t, err)
	_, err = file.Write(document(t, packages))
	require.NoError(t, err)
	require.NoError(t, parts.Close())
	response := h.send(t, http.MethodPost, "/api/scan/data", parts.FormDataContentType(), &form)
	require.Equal(t, http.StatusCreated, response.StatusCode)
	location := response.Header.Get("Location")
	return location[strings.LastIndexByte(location, '/')+1:]
}

// document is a CycloneDX document of package URLs.
func document(t *testing.T, packages []string) []byte {
	t.Helper()
	type component struct {
		Type    string `json:"type"`
		Name    string `json:"name"`
		Version string `json:"version"`
		PURL    string `json:"purl"`
	}
	var components []component
	for _, p := range packages {
		name, version, _ := strings.Cut(p[strings.LastIndexByte(p, '/')+1:], "@")
		components = append(components, component{"library", name, version, p})
	}
	raw, err := json.Marshal(map[string]any{"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components})
	require.NoError(t, err)
	return raw
}
