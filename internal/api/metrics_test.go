package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

func TestMetrics(t *testing.T) {
	s := serve(t)
	require.Equal(t, http.StatusOK, s.as(perceiverToken, http.MethodPost, "/pod", podBody("n", "p", "app", sha('a'))).status)
	s.as(perceiverToken, http.MethodPost, "/pod", "{}")
	s.as(readerToken, http.MethodGet, "/api/v1/images/"+sha('a'), "")
	for _, odd := range []string{"/one", "/two", "/pod/"} {
		s.as("", http.MethodGet, odd, "")
		s.as("", "BREW", odd, "")
	}
	got := s.as("", http.MethodGet, "/metrics", "")
	require.Equal(t, http.StatusOK, got.status)
	for _, line := range []string{
		`perceptor_core_http_handled_status_codes{code="200",method="POST",path="pod"} 1`,
		`perceptor_core_http_handled_status_codes{code="400",method="POST",path="pod"} 1`,
		`perceptor_core_http_handled_status_codes{code="404",method="GET",path="api/v1/images/{digest}"} 1`,
		`perceptor_core_http_handled_status_codes{code="404",method="GET",path="unknown"} 3`,
		`perceptor_core_http_handled_status_codes{code="404",method="other",path="unknown"} 3`,
		`perceptor_core_status_gauge{name="number_of_pods"} 1`,
		`perceptor_core_status_gauge{name="image_status_` + string(model.StatusComplete) + `"} 1`,
		`perceptor_core_hub_circuit_breaker_state{host="main"} 1`,
		`perceptor_core_hub_scans{host="main",name="limit"} 2`,
		`perceptor_core_state_known 1`,
	} {
		require.Contains(t, strings.Split(got.body, "\n"), line)
	}
	for _, name := range []string{"shop", "registry.example", "one", perceiverToken} {
		require.NotContains(t, got.body, `"`+name+`"`)
	}
	down := serve(t)
	down.down = errDown
	got = down.as("", http.MethodGet, "/metrics", "")
	require.Equal(t, http.StatusOK, got.status)
	require.Contains(t, got.body, "perceptor_core_state_known 0")
}
