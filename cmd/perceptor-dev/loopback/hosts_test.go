package loopback_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/cmd/perceptor-dev/loopback"
)

func TestOnlyLocalNames(t *testing.T) {
	handler := loopback.OnlyLocalNames(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	for host, status := range map[string]int{
		"localhost:8233":       http.StatusNoContent,
		"127.0.0.1:5005":       http.StatusNoContent,
		"127.0.0.1":            http.StatusNoContent,
		"[::1]:5005":           http.StatusNoContent,
		"rebound.example:5005": http.StatusMisdirectedRequest,
		"10.0.0.1:5005":        http.StatusMisdirectedRequest,
		"":                     http.StatusMisdirectedRequest,
	} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		request.Host = host
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		require.Equal(t, status, answer.Code, "host %q", host)
	}
}
