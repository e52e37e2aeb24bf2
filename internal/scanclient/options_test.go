package scanclient_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/scanclient"
	"github.com/perceptor/perceptor/model"
)

func TestNewRefusesWhatCannotRun(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	require.NoError(t, os.WriteFile(plain, nil, 0o600))
	cases := []struct {
		name    string
		options scanclient.Options
		reason  string
	}{
		{"no command", scanclient.Options{}, "no scan client is configured; build the built-in one"},
		{"a missing command", scanclient.Options{Command: "/no/such/client"}, `"/no/such/client" is missing or may not be executed; build`},
		{"a file that is no program", scanclient.Options{Command: plain}, "may not be executed; build"},
		{"a limit below zero", scanclient.Options{Command: os.Args[0], MemoryLimit: -1}, "below zero"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := scanclient.New(c.options)
			failure := requireError(t, err)
			require.ErrorContains(t, err, c.reason)
			require.Equal(t, model.Unsupported, failure.FailureClass())
			require.True(t, failure.SurelyRefused())
		})
	}
}

func TestBadListRequests(t *testing.T) {
	cases := []struct {
		name   string
		change func(*scanclient.SBOMRequest)
		reason string
	}{
		{"a relative tar", func(r *scanclient.SBOMRequest) { r.Tar = "image.tar" }, `the tar "image.tar" is not an absolute path`},
		{"no SBOM", func(r *scanclient.SBOMRequest) { r.SBOM = "" }, "the SBOM"},
		{"no scratch", func(r *scanclient.SBOMRequest) { r.Scratch = "" }, "the scratch"},
		{"an SBOM that would be removed", func(r *scanclient.SBOMRequest) { r.SBOM = r.Scratch + "/scan-client/d" }, "the scan client removes"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			req := request(t)
			c.change(&req)
			_, err := runner(t, "good", nil).GenerateSBOM(t.Context(), req, nil)
			require.ErrorContains(t, err, c.reason)
			require.Equal(t, model.Invalid, requireError(t, err).FailureClass())
		})
	}
}
