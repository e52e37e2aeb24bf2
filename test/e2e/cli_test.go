//go:build e2e

package e2e_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
)

// The exit codes every verb has.
const (
	exitOK       = 0
	exitFindings = 1
	exitTrouble  = 2
)

// scanResult is what `perceptor scan --output json` says of an image.
type scanResult struct {
	Reference     string                `json:"reference"`
	Digest        model.Digest          `json:"digest"`
	Platform      string                `json:"platform"`
	Error         string                `json:"error"`
	Class         model.FailureClass    `json:"class"`
	OverallStatus model.OverallStatus   `json:"overallStatus"`
	Coverage      model.CoverageSummary `json:"coverage"`
	Verdicts      []model.Verdict       `json:"verdicts"`
	Findings      []model.Finding       `json:"findings"`
	FindingsTotal int                   `json:"findingsTotal"`
}

// perceptor runs a verb against this perceptor-dev.
func (d *dev) perceptor(t *testing.T, verb ...string) rig.Outcome {
	t.Helper()
	return rig.Run(t, "perceptor", append(verb, "--dev", d.Directory)...)
}

// scan scans one image as a script would, and answers with its result and the exit code.
func (d *dev) scan(t *testing.T, reference string, flags ...string) (scanResult, int) {
	t.Helper()
	done := d.perceptor(t, append([]string{"scan", "--output", "json", reference}, flags...)...)
	var results []scanResult
	require.NoError(t, json.Unmarshal([]byte(done.Stdout), &results), "exit %d\n%s\n%s", done.Code, done.Stdout, done.Stderr)
	require.Len(t, results, 1)
	unassessed := !results[0].Coverage.Satisfied && done.Code != exitFindings && !slices.Contains(flags, "--allow-unassessed")
	require.Equal(t, results[0].Error != "" || unassessed, done.Code == exitTrouble,
		"exit code 2 means not scanned or not assessed in full, and nothing else does:\n%s", done.Stderr)
	if results[0].Error == "" && unassessed {
		require.NotEmpty(t, results[0].Coverage.Reason)
		require.Contains(t, done.Stderr, results[0].Coverage.Reason, "a person reads the reason")
		require.NotEqual(t, model.NotInViolation, results[0].OverallStatus)
		require.NotEqual(t, model.InViolationOverridden, results[0].OverallStatus)
	}
	if results[0].Error != "" {
		require.Contains(t, done.Stderr, results[0].Error, "a person reads the reason")
		require.Equal(t, model.OverallUnknown, results[0].OverallStatus)
		require.Empty(t, results[0].Findings)
	}
	return results[0], done.Code
}

// ask reads a page of the hub's own REST API.
func (d *dev) ask(t *testing.T, address string, into any) {
	t.Helper()
	login, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+d.Hub+"/api/tokens/authenticate", nil)
	require.NoError(t, err)
	login.Header.Set("Authorization", "token "+d.HubToken)
	var bearer struct {
		BearerToken string `json:"bearerToken"`
	}
	d.read(t, login, &bearer)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+bearer.BearerToken)
	d.read(t, request, into)
}

// internal reads what the built-in hub tells to its token alone.
func (d *dev) internal(t *testing.T, path string, into any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+d.Hub+path, nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "token "+d.HubToken)
	d.read(t, request, into)
}

func (d *dev) read(t *testing.T, request *http.Request, into any) {
	t.Helper()
	response, err := d.HubClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close() //nolint:errcheck // only read
	require.Equal(t, http.StatusOK, response.StatusCode, request.URL)
	require.NoError(t, json.NewDecoder(response.Body).Decode(into))
}
