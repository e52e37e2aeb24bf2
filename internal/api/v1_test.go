package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

func TestDescription(t *testing.T) {
	s := serve(t)
	got := s.as("", http.MethodGet, "/openapi.json", "")
	require.Equal(t, http.StatusOK, got.status)
	var described struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Summary     string
			Security    []map[string][]string
			Responses   map[string]any
		}
	}
	got.into(t, &described)
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
	page := s.as("", http.MethodGet, "/docs", "")
	require.Equal(t, http.StatusOK, page.status)
	require.True(t, strings.Contains(page.body, "list-findings"))
	for _, loads := range []string{"<script", "<link", " src=", `href="http`, "url(", "ZgotmplZ"} {
		require.False(t, strings.Contains(page.body, loads), "the page needs nothing but itself: %s", loads)
	}
}

func TestPodsArePagedAndFiltered(t *testing.T) {
	s := serve(t)
	for _, name := range []string{"a", "b", "c"} {
		body := `{"Name":"` + name + `","Namespace":"shop","Containers":[]}`
		require.Equal(t, http.StatusOK, s.as(perceiverToken, http.MethodPost, "/pod", body).status)
	}
	var page struct {
		Pods []model.PodVerdict
		Next string
	}
	s.as(readerToken, http.MethodGet, "/api/v1/pods?limit=2", "").into(t, &page)
	require.Len(t, page.Pods, 2)
	require.Equal(t, model.OverallUnknown, page.Pods[0].OverallStatus)
	next := page.Next
	page.Next = ""
	s.as(readerToken, http.MethodGet, "/api/v1/pods?limit=2&cursor="+next, "").into(t, &page)
	require.Len(t, page.Pods, 1)
	require.Empty(t, page.Next)
	s.as(operatorToken, http.MethodGet, "/api/v1/pods?namespace=none", "").into(t, &page)
	require.Empty(t, page.Pods)
	require.Contains(t, s.as(readerToken, http.MethodGet, "/api/v1/pods?namespace=x&status=Failed&overallStatus=UNKNOWN&image=web", "").body, `"pods":[]`)
	require.Equal(t, "pods default x Failed UNKNOWN web", s.asked[len(s.asked)-1])

	for query, wrong := range map[string]string{
		"limit=0": "limit", "limit=1001": "limit", "limit=x": "limit", "status=Done": "status", "namspace=shop": "namspace",
		"namespace=" + strings.Repeat("n", 300): "namespace",
	} {
		got := s.as(readerToken, http.MethodGet, "/api/v1/pods?"+query, "")
		require.Equal(t, http.StatusBadRequest, got.status, query)
		require.Contains(t, got.problem(t), wrong)
	}
}

func TestImagesHubsAndClusters(t *testing.T) {
	s := serve(t)
	s.judge(model.Summary{Digest: digestOf('a'), Status: model.StatusComplete, OverallStatus: model.InViolation})
	for _, row := range []struct {
		token, method, path, body string
		status                    int
		contains                  string
	}{
		{readerToken, http.MethodGet, "/api/v1/images/" + string(digestOf('a')), "", http.StatusOK, "IN_VIOLATION"},
		{readerToken, http.MethodGet, "/api/v1/images/" + sha('a'), "", http.StatusOK, "IN_VIOLATION"},
		{readerToken, http.MethodGet, "/api/v1/images/" + sha('b'), "", http.StatusNotFound, "no such image"},
		{readerToken, http.MethodGet, "/api/v1/images/" + sha('a')[1:], "", http.StatusBadRequest, "63 characters"},
		{readerToken, http.MethodGet, "/api/v1/images/" + sha('a') + "/findings?offset=1&limit=1", "", http.StatusOK, "F-1"},
		{readerToken, http.MethodGet, "/api/v1/images/" + sha('a') + "/findings?offset=9", "", http.StatusOK, `"findings":[]`},
		{operatorToken, http.MethodPost, "/api/v1/images", `{"reference":"app:1","platform":"linux/arm64","new":true}`, http.StatusAccepted, string(digestOf('a'))},
		{operatorToken, http.MethodPost, "/api/v1/images", `{"reference":"missing:1"}`, http.StatusNotFound, "the registry knows no such image"},
		{operatorToken, http.MethodPost, "/api/v1/images", `{"reference":""}`, http.StatusBadRequest, "length"},
		{operatorToken, http.MethodPost, "/api/v1/images", `{"reference":"app","platform":"linux"}`, http.StatusBadRequest, "OS/ARCHITECTURE"},
		{operatorToken, http.MethodPost, "/api/v1/images", ``, http.StatusBadRequest, "body"},
		{operatorToken, http.MethodPost, "/api/v1/images/" + sha('a') + "/rescan", `{"reason":"new client"}`, http.StatusAccepted, ""},
		{operatorToken, http.MethodPost, "/api/v1/images/" + sha('a') + "/rescan", ``, http.StatusAccepted, ""},
		{readerToken, http.MethodGet, "/api/v1/hubs", "", http.StatusOK, `"name":"main"`},
		{operatorToken, http.MethodPut, "/api/v1/hubs/main/limit", `{"limit":5}`, http.StatusOK, `"limit":5`},
		{operatorToken, http.MethodPut, "/api/v1/hubs/main/limit", `{"limit":0}`, http.StatusBadRequest, "limit"},
		{operatorToken, http.MethodPost, "/api/v1/hubs/other/pause", "", http.StatusBadRequest, "no hub is named other"},
		{operatorToken, http.MethodPost, "/api/v1/hubs/main/pause", "", http.StatusOK, `"paused":true`},
		{operatorToken, http.MethodPost, "/api/v1/hubs/main/resume", "", http.StatusOK, "main"},
		{operatorToken, http.MethodPost, "/api/v1/hubs/main/retry", "", http.StatusAccepted, ""},
		{operatorToken, http.MethodPost, "/api/v1/leases/reset", `{"stuck":true}`, http.StatusOK, sha('b')},
		{operatorToken, http.MethodPost, "/api/v1/leases/reset", `{}`, http.StatusBadRequest, "not both"},
		{readerToken, http.MethodGet, "/api/v1/clusters", "", http.StatusOK, `"clusters":[]`},
		{operatorToken, http.MethodGet, "/api/v1/clusters/none", "", http.StatusNotFound, "no such cluster"},
		{operatorToken, http.MethodDelete, "/api/v1/clusters/old", "", http.StatusAccepted, ""},
	} {
		got := s.as(row.token, row.method, row.path, row.body)
		require.Equal(t, row.status, got.status, "%s %s: %s", row.method, row.path, got.body)
		require.Contains(t, got.body, row.contains, "%s %s", row.method, row.path)
		if got.status >= http.StatusBadRequest {
			got.problem(t)
		}
	}
	require.Contains(t, s.asked, "scan app:1 for api/olga")
	require.Contains(t, s.asked, "rescan "+string(digestOf('a'))+": new client")
	require.Contains(t, s.asked, "rescan "+string(digestOf('a'))+": asked for by olga")
	require.Contains(t, s.asked, "forget old")
}

func TestReports(t *testing.T) {
	s := serve(t)
	got := s.as(prodToken, http.MethodPost, "/api/v1/reports", `{"version":{"epoch":7,"counter":3},"domain":"eu",
		"pods":[{"uid":"u","namespace":"shop","name":"web","containers":[]}],"gone":[{"namespace":"shop","name":"old"}]}`)
	require.Equal(t, http.StatusOK, got.status, got.body)
	require.JSONEq(t, `{"accepted":2}`, got.body)
	r := s.last()
	require.Equal(t, "prod", r.Cluster)
	require.Equal(t, model.Version{Epoch: 7, Counter: 3}, r.Version)
	require.Equal(t, "eu", r.Domain)
	require.Len(t, r.Pods, 1)
	require.Equal(t, []model.PodKey{{Namespace: "shop", Name: "old"}}, r.Gone)

	got = s.as(prodToken, http.MethodPost, "/api/v1/reports", `{"snapshot":true,"pods":[{"uid":"u","namespace":"shop","name":"web"},{"uid":"v"},7]}`)
	require.Equal(t, http.StatusMultiStatus, got.status)
	var answer struct {
		Accepted int
		Rejected []struct {
			Index  int
			Reason string
		}
	}
	got.into(t, &answer)
	require.Equal(t, 1, answer.Accepted)
	require.Len(t, answer.Rejected, 2)
	require.Equal(t, 1, answer.Rejected[0].Index)
	require.Contains(t, answer.Rejected[0].Reason, "namespace is missing")
	require.True(t, s.last().Snapshot)
	require.NotZero(t, s.last().Version.Epoch)

	for body, wrong := range map[string]string{
		``:                        "empty",
		`[]`:                      "not a JSON object",
		`{"pods":{}}`:             "pods is no list",
		`{"pods":[}`:              "not JSON",
		`{"cluster":"default"}`:   "reports for prod",
		`{"version":{"epoch":0}}`: "epoch",
		`{"version":7}`:           "got number",
		`{"snapshot":true,"gone":[{"namespace":"a","name":"b"}]}`: "gone in a snapshot",
		`{"pods":[{"uid":"v"}]}`:                                  "nothing in the report is good",
		`{"domain":"a/b"}`:                                        "domain",
		`{} {}`:                                                   "behind",
	} {
		got := s.as(prodToken, http.MethodPost, "/api/v1/reports", body)
		require.Equal(t, http.StatusBadRequest, got.status, body)
		require.Contains(t, got.problem(t), wrong, body)
	}
}
