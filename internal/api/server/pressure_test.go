package server_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/api/apitest"
)

// TestSlowClientsHoldOnlyTheirOwnPlaces sends bodies that do not end: they keep that token busy, and no other one.
func TestSlowClientsHoldOnlyTheirOwnPlaces(t *testing.T) {
	s := serve(t)
	var ends []*io.PipeWriter
	answers := make(chan int, 10)
	for range 6 {
		reader, writer := io.Pipe()
		ends = append(ends, writer)
		go func() { answers <- s.Send(apitest.PerceiverToken, http.MethodPut, "/allpods", reader).Status }()
	}
	for range 4 {
		select {
		case status := <-answers:
			require.Equal(t, http.StatusTooManyRequests, status)
		case <-time.After(10 * time.Second):
			t.Fatal("more than two requests of the token wait")
		}
	}
	for range 8 { // another token is served, again and again
		got := s.As(apitest.ProdPerceiverToken, http.MethodPost, "/api/v1/reports", `{"snapshot":true,"pods":[]}`)
		require.Equal(t, http.StatusOK, got.Status, got.Body)
	}
	for _, end := range ends {
		require.NoError(t, end.Close())
	}
	for range 2 {
		require.Equal(t, http.StatusBadRequest, <-answers)
	}
	require.Equal(t, http.StatusOK, s.As(apitest.PerceiverToken, http.MethodPut, "/allpods", `{"Pods":[]}`).Status, "its places are free again")
}

// TestAuditLog: every change, and every refused try, is one line with who, what, from where and the outcome.
func TestAuditLog(t *testing.T) {
	s := serve(t)
	for _, row := range []struct {
		token, method, path string
		want                []string
	}{
		{apitest.OperatorToken, http.MethodPost, "/api/v1/hubs/main/pause", []string{
			"who=olga", "scope=operator", `cluster=*`, "/api/v1/hubs/main/pause", "outcome=done",
			"status=200", "from=",
		}},
		{apitest.ProdOperatorToken, http.MethodPost, "/api/v1/hubs/main/resume", []string{"who=petra", "cluster=prod", "outcome=refused", "status=403"}},
		{apitest.ReaderToken, http.MethodDelete, "/api/v1/clusters/default", []string{"who=reader", "outcome=refused", "status=403"}},
		{"a-token-without-an-owner", http.MethodPost, "/command", []string{"who=unknown", "outcome=refused", "status=401"}},
		{apitest.PerceiverToken, http.MethodPost, "/pod", []string{"who=perceiver", "outcome=refused", "status=400"}},
	} {
		before := len(s.Log.String())
		s.As(row.token, row.method, row.path, "")
		var lines []string
		for line := range strings.Lines(s.Log.String()[before:]) {
			if strings.Contains(line, "msg=audit") {
				lines = append(lines, line)
			}
		}
		require.Len(t, lines, 1, row.path)
		for _, part := range row.want {
			require.Contains(t, lines[0], part)
		}
		require.NotContains(t, s.Log.String(), row.token)
	}
	before := s.Log.String()
	s.As(apitest.ReaderToken, http.MethodGet, "/api/v1/pods", "")
	require.Equal(t, before, s.Log.String(), "reading is no change")
}
