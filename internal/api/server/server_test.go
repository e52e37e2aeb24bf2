package server_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/internal/api/apitest"
	"github.com/perceptor/perceptor/internal/api/server"
	"github.com/perceptor/perceptor/model"
)

func serve(t testing.TB) *apitest.Served {
	t.Helper()
	return apitest.Serve(t, server.APIs(server.Options{})...)
}

func TestMetrics(t *testing.T) {
	s := serve(t)
	pod := `{"Name":"p","UID":"u","Namespace":"n","Containers":[{"Name":"c","Image":{"Repository":"app","Tag":"1","Sha":"` + apitest.Sha('a') + `"}}]}`
	require.Equal(t, http.StatusOK, s.As(apitest.PerceiverToken, http.MethodPost, "/pod", pod).Status)
	s.As(apitest.PerceiverToken, http.MethodPost, "/pod", "{}")
	s.As(apitest.ReaderToken, http.MethodGet, "/api/v1/images/"+apitest.Sha('a'), "")
	for _, odd := range []string{"/one", "/two", "/pod/"} {
		s.As("", http.MethodGet, odd, "")
		s.As("", "BREW", odd, "")
	}
	got := s.As("", http.MethodGet, "/metrics", "")
	require.Equal(t, http.StatusOK, got.Status)
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
		`perceptor_core_workflows_watched 1`,
		`perceptor_core_workflows_stuck 0`,
	} {
		require.Contains(t, strings.Split(got.Body, "\n"), line)
	}
	for _, name := range []string{"shop", "registry.example", "one", apitest.PerceiverToken} {
		require.NotContains(t, got.Body, `"`+name+`"`)
	}
	down := serve(t)
	down.Down = apitest.ErrDown
	got = down.As("", http.MethodGet, "/metrics", "")
	require.Equal(t, http.StatusOK, got.Status)
	require.Contains(t, got.Body, "perceptor_core_state_known 0")
	require.Contains(t, got.Body, "perceptor_core_workflows_watched 1", "a stuck workflow may be why the rest is not known")
	stuck := serve(t)
	stuck.StuckNow.Count = 3
	require.Contains(t, stuck.As("", http.MethodGet, "/metrics", "").Body, "perceptor_core_workflows_stuck 3")
	away := serve(t)
	away.NotWatched = apitest.ErrDown
	got = away.As("", http.MethodGet, "/metrics", "")
	require.Contains(t, got.Body, "perceptor_core_workflows_watched 0")
	require.NotContains(t, got.Body, "\nperceptor_core_workflows_stuck", "not known is not none")
}

// TestMetricsApart serves the metrics on a listener of their own, and nothing else there.
func TestMetricsApart(t *testing.T) {
	apart := api.New(api.Options{Backend: apitest.NewMemory(), Log: slog.New(slog.DiscardHandler), MetricsApart: true})
	recorder := httptest.NewRecorder()
	apart.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusNotFound, recorder.Code)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- apart.ServeMetrics(ctx, listener) }()
	for path, status := range map[string]int{"/metrics": http.StatusOK, "/api/v1/pods": http.StatusNotFound, "/healthz": http.StatusNotFound} {
		got, err := http.Get("http://" + listener.Addr().String() + path) //nolint:noctx // a test
		require.NoError(t, err)
		require.NoError(t, got.Body.Close())
		require.Equal(t, status, got.StatusCode, path)
	}
	stop()
	require.NoError(t, <-ended)
}

func TestBackendInTrouble(t *testing.T) {
	s := serve(t)
	s.Down = apitest.ErrDown
	for _, each := range [][3]string{
		{http.MethodDelete, "/pod", "shop/web"}, {http.MethodPut, "/allpods", `{"Pods":[]}`}, {http.MethodGet, "/scanresults", ""}, {http.MethodGet, "/api/v1/pods", ""},
	} {
		got := s.As(apitest.PerceiverToken, each[0], each[1], each[2])
		require.Equal(t, http.StatusServiceUnavailable, got.Status)
		require.NotEmpty(t, got.Header.Get("Retry-After"))
		require.NotContains(t, got.Body, "10.0.0.7", "a client learns nothing of the inside")
	}
	require.Contains(t, s.Log.String(), "10.0.0.7")
	require.Equal(t, http.StatusOK, s.As("", http.MethodGet, "/healthz", "").Status)
	require.Equal(t, http.StatusServiceUnavailable, s.As("", http.MethodGet, "/readyz", "").Status)
	s.Down = nil
	require.Equal(t, http.StatusOK, s.As("", http.MethodGet, "/readyz", "").Status)
}

func TestScopes(t *testing.T) {
	s := serve(t)
	for _, row := range []struct {
		token, method, path, body string
		status                    int
	}{
		{"", http.MethodPost, "/pod", "", http.StatusUnauthorized},
		{"a-token-without-an-owner", http.MethodPost, "/pod", "", http.StatusUnauthorized},
		{apitest.ReaderToken, http.MethodPost, "/pod", "", http.StatusForbidden},
		{apitest.OperatorToken, http.MethodPost, "/pod", "", http.StatusForbidden},
		{apitest.PerceiverToken, http.MethodGet, "/model", "", http.StatusForbidden},
		{apitest.ReaderToken, http.MethodPost, "/command", "{}", http.StatusForbidden},
		{apitest.PerceiverToken, http.MethodGet, "/scanresults", "", http.StatusOK},
		{apitest.OperatorToken, http.MethodGet, "/scanresults", "", http.StatusOK},
		{"", http.MethodGet, "/api/v1/pods", "", http.StatusUnauthorized},
		{apitest.PerceiverToken, http.MethodGet, "/api/v1/pods", "", http.StatusOK},
		{apitest.PerceiverToken, http.MethodGet, "/api/v1/images", "", http.StatusForbidden},
		{apitest.ReaderToken, http.MethodGet, "/api/v1/images", "", http.StatusOK},
		{apitest.ReaderToken, http.MethodPost, "/api/v1/hubs/main/pause", "", http.StatusForbidden},
		{apitest.OperatorToken, http.MethodPost, "/api/v1/hubs/main/pause", "", http.StatusOK},
		{apitest.ProdReaderToken, http.MethodGet, "/api/v1/pods?cluster=default", "", http.StatusForbidden},
		{apitest.ProdReaderToken, http.MethodGet, "/api/v1/clusters/default", "", http.StatusForbidden},
		{"", http.MethodPost, "/api/v1/reports", "{}", http.StatusUnauthorized},
		{"", http.MethodGet, "/healthz", "", http.StatusOK},
	} {
		got := s.As(row.token, row.method, row.path, row.body)
		require.Equal(t, row.status, got.Status, "%s %s as %q: %s", row.method, row.path, row.token, got.Body)
		if row.status == http.StatusUnauthorized {
			require.NotEmpty(t, got.Header.Get("WWW-Authenticate"))
		}
	}
}

func TestDescription(t *testing.T) {
	s := serve(t)
	got := s.As("", http.MethodGet, "/openapi.json", "")
	require.Equal(t, http.StatusOK, got.Status)
	var described struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Summary     string
			Security    []map[string][]string
			Responses   map[string]any
		}
	}
	got.Into(t, &described)
	require.True(t, strings.HasPrefix(described.OpenAPI, "3.1"))
	seen := map[string]bool{}
	for path, operations := range described.Paths {
		for method, op := range operations {
			require.NotEmpty(t, op.Summary, "%s %s", method, path)
			require.NotEmpty(t, op.Security, "%s %s", method, path)
			require.NotEmpty(t, op.Responses, "%s %s", method, path)
			require.NotContains(t, op.Responses, "422")
			require.False(t, seen[op.OperationID], op.OperationID)
			seen[op.OperationID] = true
		}
	}
	for _, path := range []string{"/pod", "/allpods", "/image", "/allimages", "/scanresults", "/model", "/command", "/concurrentscanlimit", "/api/v1/reports", "/api/v1/pods"} {
		require.Contains(t, described.Paths, path)
	}
	page := s.As("", http.MethodGet, "/docs", "")
	require.Equal(t, http.StatusOK, page.Status)
	require.True(t, strings.Contains(page.Body, "list-findings"))
	for _, loads := range []string{"<script", "<link", " src=", `href="http`, "url(", "ZgotmplZ"} {
		require.False(t, strings.Contains(page.Body, loads), "the page needs nothing but itself: %s", loads)
	}
}
