package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

func TestPodIsReportedForTheTokensCluster(t *testing.T) {
	s := serve(t)
	body := `{"Name":"web-1","UID":"u-1","Namespace":"shop","Unknown":[1],"Containers":[{"Name":"web","Image":{
		"Repository":"registry.example/web","Tag":"1.2","Sha":"` + sha('a') + `","Priority":1,"BlackDuckProjectName":"","BlackDuckProjectVersion":"v7"}}]}`
	got := s.as(prodToken, http.MethodPost, "/pod", body)
	require.Equal(t, http.StatusOK, got.status, got.body)
	require.Empty(t, got.body)
	r := s.last()
	require.Equal(t, "prod", r.Cluster)
	require.NotZero(t, r.Version.Epoch)
	require.False(t, r.Snapshot)
	require.Equal(t, []model.Pod{{
		UID: "u-1", Namespace: "shop", Name: "web-1", Containers: []model.Container{{
			Name: "web", Reference: "registry.example/web:1.2", Digest: digestOf('a'),
			HubNames: &model.HubNames{Project: "registry.example/web", Version: "v7", Scan: sha('a')},
		}},
	}}, r.Pods)
}

func TestVersionsGrow(t *testing.T) {
	s := serve(t)
	var last model.Version
	for range 50 {
		require.Equal(t, http.StatusOK, s.as(perceiverToken, http.MethodDelete, "/pod", "shop/web").status)
		require.True(t, last.Before(s.last().Version))
		last = s.last().Version
	}
}

func TestBackendInTrouble(t *testing.T) {
	s := serve(t)
	s.down = errDown
	for _, each := range [][3]string{
		{http.MethodDelete, "/pod", "shop/web"}, {http.MethodPut, "/allpods", `{"Pods":[]}`}, {http.MethodGet, "/scanresults", ""}, {http.MethodGet, "/api/v1/pods", ""},
	} {
		got := s.as(perceiverToken, each[0], each[1], each[2])
		require.Equal(t, http.StatusServiceUnavailable, got.status)
		require.NotEmpty(t, got.header.Get("Retry-After"))
		require.NotContains(t, got.body, "10.0.0.7", "a client learns nothing of the inside")
	}
	require.Contains(t, s.log.String(), "10.0.0.7")
	require.Equal(t, http.StatusOK, s.as("", http.MethodGet, "/healthz", "").status)
	require.Equal(t, http.StatusServiceUnavailable, s.as("", http.MethodGet, "/readyz", "").status)
	s.down = nil
	require.Equal(t, http.StatusOK, s.as("", http.MethodGet, "/readyz", "").status)
}

func TestScopes(t *testing.T) {
	s := serve(t)
	for _, row := range []struct {
		token, method, path, body string
		status                    int
	}{
		{"", http.MethodPost, "/pod", "", http.StatusUnauthorized},
		{"nobody-knows-this-token", http.MethodPost, "/pod", "", http.StatusUnauthorized},
		{readerToken, http.MethodPost, "/pod", "", http.StatusForbidden},
		{operatorToken, http.MethodPost, "/pod", "", http.StatusForbidden},
		{perceiverToken, http.MethodGet, "/model", "", http.StatusForbidden},
		{readerToken, http.MethodPost, "/command", "{}", http.StatusForbidden},
		{perceiverToken, http.MethodGet, "/scanresults", "", http.StatusOK},
		{operatorToken, http.MethodGet, "/scanresults", "", http.StatusOK},
		{"", http.MethodGet, "/api/v1/pods", "", http.StatusUnauthorized},
		{perceiverToken, http.MethodGet, "/api/v1/pods", "", http.StatusOK},
		{perceiverToken, http.MethodGet, "/api/v1/images", "", http.StatusForbidden},
		{readerToken, http.MethodGet, "/api/v1/images", "", http.StatusOK},
		{readerToken, http.MethodPost, "/api/v1/hubs/main/pause", "", http.StatusForbidden},
		{operatorToken, http.MethodPost, "/api/v1/hubs/main/pause", "", http.StatusOK},
		{prodReader, http.MethodGet, "/api/v1/pods?cluster=default", "", http.StatusForbidden},
		{prodReader, http.MethodGet, "/api/v1/clusters/default", "", http.StatusForbidden},
		{"", http.MethodPost, "/api/v1/reports", "{}", http.StatusUnauthorized},
		{"", http.MethodGet, "/healthz", "", http.StatusOK},
	} {
		got := s.as(row.token, row.method, row.path, row.body)
		require.Equal(t, row.status, got.status, "%s %s as %q: %s", row.method, row.path, row.token, got.body)
		if row.status == http.StatusUnauthorized {
			require.NotEmpty(t, got.header.Get("WWW-Authenticate"))
		}
	}
}
