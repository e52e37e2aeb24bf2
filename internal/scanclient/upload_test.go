package scanclient_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/scanclient"
	"github.com/perceptor/perceptor/model"
)

const (
	secretToken    = "token-4711-secret"
	secretPassword = "password-4711-secret"
)

func uploadRequest(t *testing.T) scanclient.UploadRequest {
	t.Helper()
	sbom := filepath.Join(t.TempDir(), "image.cdx.json")
	require.NoError(t, os.WriteFile(sbom, []byte(goodSBOM), 0o600))
	return scanclient.UploadRequest{
		SBOM:    sbom,
		Target:  model.UploadTarget{Hub: "main", URL: "https://hub.example:8443", Token: secretToken},
		Names:   model.HubNames{Project: "example.com/app", Version: "1.0", Scan: "0123"},
		Attempt: model.AttemptID{Millis: 12, Counter: 3},
	}
}

func TestUploadGivesTheScan(t *testing.T) {
	req := uploadRequest(t)
	var seen []scanclient.Progress
	uploaded, err := runner(t, "good", nil).Upload(t.Context(), req, func(p scanclient.Progress) { seen = append(seen, p) })
	require.NoError(t, err)
	require.Equal(t, scanclient.Uploaded{ScanID: "17", ScanURL: "https://hub/api/scans/17"}, uploaded)
	require.Equal(t, []scanclient.Progress{{Phase: "upload", Done: 5, Total: 5}}, seen)
	require.FileExists(t, req.SBOM)
}

// TestUploadOutcomes is the table of what is known of the hub after an upload that failed.
func TestUploadOutcomes(t *testing.T) {
	cases := []struct {
		name, part string
		class      model.FailureClass
		refused    bool
		wait       time.Duration
	}{
		{"the hub throttles", "throttled", model.Throttled, true, 17 * time.Second},
		{"the login is refused, said as unknown", "refused-at-login", model.Unauthorized, true, 0},
		{"the client does not know", "unknown-outcome", model.Transient, false, 0},
		{"killed before it sent anything", "dies", model.Transient, true, 0},
		{"killed while it sends", "dies-uploading", model.Transient, false, 0},
		{"hangs while it sends", "hangs-uploading", model.Transient, false, 0},
		{"says nothing", "silent", model.Invalid, true, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			limit := func(o *scanclient.Options) { o.UploadTimeout = 5 * time.Second }
			if c.part == "hangs-uploading" {
				limit = func(o *scanclient.Options) { o.UploadTimeout = time.Second }
			}
			_, err := runner(t, c.part, limit).Upload(t.Context(), uploadRequest(t), nil)
			failure := requireError(t, err)
			require.Equal(t, c.class, failure.FailureClass(), failure)
			require.Equal(t, c.refused, failure.SurelyRefused(), failure)
			require.Equal(t, c.wait, failure.RetryAfter())
			require.Equal(t, scanclient.OpUpload, failure.Op)
		})
	}
}

func TestSecretsReachTheClientAndNothingElse(t *testing.T) {
	t.Setenv("TEMPORAL_API_KEY", "of-this-process-alone")
	cases := []struct {
		name         string
		target       model.UploadTarget
		want, absent []string
	}{
		{
			"a token",
			model.UploadTarget{URL: "https://hub", Token: secretToken, CAFile: "/ca.pem"},
			[]string{"PERCEPTOR_HUB_TOKEN=" + secretToken, "--ca-file", "/ca.pem", "--attempt", "12-3", "--scan-name", "0123"},
			[]string{"PERCEPTOR_HUB_PASSWORD", "--insecure"},
		},
		{
			"a password",
			model.UploadTarget{URL: "https://hub", Username: "sysadmin", Password: secretPassword, Insecure: true},
			[]string{"PERCEPTOR_HUB_USERNAME=sysadmin", "PERCEPTOR_HUB_PASSWORD=" + secretPassword, "--insecure"},
			[]string{"PERCEPTOR_HUB_TOKEN", "--ca-file"},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			req := uploadRequest(t)
			req.Target = c.target
			_, err := runner(t, "environment", nil).Upload(t.Context(), req, nil)
			require.NoError(t, err)
			got, err := os.ReadFile(req.SBOM + ".env")
			require.NoError(t, err)
			environment, args, _ := strings.Cut(string(got), actAs)
			require.NotContains(t, args, "secret")
			lines := strings.Split(environment+args, "\n")
			require.Subset(t, lines, c.want)
			for _, absent := range append(c.absent, "of-this-process-alone") {
				require.NotContains(t, string(got), absent)
			}
		})
	}
}

func TestAListingGetsNoSecretAndItsLimits(t *testing.T) {
	req := request(t)
	_, err := runner(t, "environment", func(o *scanclient.Options) { o.MemoryLimit = 1_000_000_000 }).GenerateSBOM(t.Context(), req, nil)
	require.NoError(t, err)
	got, err := os.ReadFile(req.SBOM + ".env")
	require.NoError(t, err)
	require.NotContains(t, string(got), "PERCEPTOR_HUB")
	lines := strings.Split(string(got), "\n")
	own := filepath.Join(req.Scratch, "scan-client")
	require.Subset(t, lines, []string{"GOMEMLIMIT=800000000", "TMPDIR=" + own, "HOME=" + own, "--scratch-quota", "21474836480"})
}

func TestSecretsAreBlottedOutOfErrors(t *testing.T) {
	req := uploadRequest(t)
	req.Target.Password = secretPassword
	_, err := runner(t, "leak", nil).Upload(t.Context(), req, nil)
	failure := requireError(t, err)
	require.Contains(t, failure.Log, "logging in with [secret]")
	require.NotContains(t, failure.Log+failure.Error(), secretToken)
	require.NotContains(t, failure.Log+failure.Error(), secretPassword)
}

func TestBadUploadRequests(t *testing.T) {
	cases := []struct {
		name   string
		change func(*scanclient.UploadRequest)
		reason string
	}{
		{"no address", func(r *scanclient.UploadRequest) { r.Target.URL = "hub" }, `the address of hub "main" is no http or https address`},
		{"a password in the address", func(r *scanclient.UploadRequest) { r.Target.URL = "https://me:" + secretPassword + "@hub" }, "holds a user name"},
		{"no login", func(r *scanclient.UploadRequest) { r.Target.Token = "" }, "neither a token nor a user name"},
		{"no scan name", func(r *scanclient.UploadRequest) { r.Names.Scan = "" }, "the scan name is empty"},
		{"a relative SBOM", func(r *scanclient.UploadRequest) { r.SBOM = "image.json" }, "not an absolute path"},
		{"no SBOM", func(r *scanclient.UploadRequest) { r.SBOM += ".gone" }, "the image has to be cataloged again"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			req := uploadRequest(t)
			c.change(&req)
			_, err := runner(t, "good", nil).Upload(t.Context(), req, nil)
			failure := requireError(t, err)
			require.ErrorContains(t, err, c.reason)
			require.NotContains(t, err.Error(), secretPassword)
			require.Equal(t, model.Invalid, failure.FailureClass())
			require.True(t, failure.SurelyRefused())
		})
	}
}
