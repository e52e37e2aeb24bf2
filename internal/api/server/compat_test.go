package server_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/internal/api/apitest"
	"github.com/perceptor/perceptor/internal/api/server"
)

// listener is the listener of 2018 for cluster prod.
func listener(t *testing.T, scans bool) (*apitest.Memory, func(token, method, path, body string) *httptest.ResponseRecorder) {
	t.Helper()
	s := serve(t)
	served := server.Compat(server.Options{Options: api.Options{Backend: s.Memory, HubLogin: s.HubLogin, Log: s.Logger(), Version: "test"}}, "prod", scans)
	return s.Memory, func(token, method, path, body string) *httptest.ResponseRecorder {
		request, recorder := httptest.NewRequest(method, path, strings.NewReader(body)), httptest.NewRecorder()
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		served.ServeHTTP(recorder, request)
		return recorder
	}
}

// TestListenerOf2018 is bound to the endpoints of 2018 and to one cluster, and takes no token.
func TestListenerOf2018(t *testing.T) {
	memory, send := listener(t, false)
	pod := `{"Name":"web","UID":"u","Namespace":"shop","Containers":[{"Image":{"Repository":"app","Sha":"` + apitest.Sha('a') + `"}}]}`
	require.Equal(t, http.StatusOK, send("", http.MethodPost, "/pod", pod).Code)
	require.Equal(t, "prod", memory.Last().Cluster)
	require.Equal(t, http.StatusOK, send("", http.MethodPut, "/allpods", `{"Pods":[`+pod+`]}`).Code)
	require.Equal(t, http.StatusOK, send("", http.MethodGet, "/scanresults", "").Code)
	require.Equal(t, http.StatusOK, send("", http.MethodDelete, "/image", `"sha256:0"`).Code)
	require.Equal(t, http.StatusOK, send("", http.MethodGet, "/healthz", "").Code)
	for path, status := range map[string]int{
		"/api/v1/pods": http.StatusNotFound, "/api/v1/hubs": http.StatusNotFound, "/docs": http.StatusNotFound, "/openapi.json": http.StatusNotFound,
		"/model": http.StatusForbidden,
	} {
		require.Equal(t, status, send("", http.MethodGet, path, "").Code, path)
	}
	for _, path := range []string{"/command", "/concurrentscanlimit", "/nextimage", "/finishedscan"} {
		require.Equal(t, http.StatusForbidden, send("", http.MethodPost, path, `{"Limit":9,"ResetCircuitBreaker":true}`).Code, path)
	}
	require.Equal(t, 2, memory.HubList[0].Limit)
	for _, token := range []string{apitest.OperatorToken, "unknown-token-of-someone"} {
		got := send(token, http.MethodPost, "/command", `{"ResetCircuitBreaker":true}`)
		require.Equal(t, http.StatusUnauthorized, got.Code, "a token would cross the network without TLS")
		require.Contains(t, got.Body.String(), "change the token")
	}
}

// TestListenerOf2018ForScanners: scanners are known by their address.
func TestListenerOf2018ForScanners(t *testing.T) {
	memory, send := listener(t, true)
	require.JSONEq(t, `{"ImageSpec":null}`, send("", http.MethodPost, "/nextimage", "").Body.String())
	memory.HandOut(apitest.DigestOf('a'), "listener-2018@192.0.2.1")
	memory.HandOut(apitest.DigestOf('b'), "listener-2018@192.0.2.2")
	report := func(digit byte) int {
		return send("", http.MethodPost, "/finishedscan", `{"ImageSpec":{"Sha":"`+apitest.Sha(digit)+`"}}`).Code
	}
	require.Equal(t, http.StatusOK, report('a'))
	require.Equal(t, http.StatusConflict, report('b'))
	require.Equal(t, http.StatusForbidden, send("", http.MethodPost, "/command", `{"ResetCircuitBreaker":true}`).Code)
}
