package v1_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/api/apitest"
	"github.com/perceptor/perceptor/internal/api/v1"
	"github.com/perceptor/perceptor/model"
)

func serve(t testing.TB) *apitest.Served {
	t.Helper()
	return apitest.Serve(t, v1.API)
}

func TestPodsArePagedAndFiltered(t *testing.T) {
	s := serve(t)
	for _, name := range []string{"a", "b", "c"} {
		body := `{"pods":[{"uid":"` + name + `","name":"` + name + `","namespace":"shop","containers":[]}]}`
		require.Equal(t, http.StatusOK, s.As(apitest.PerceiverToken, http.MethodPost, "/api/v1/reports", body).Status)
	}
	var page struct {
		Pods []model.PodVerdict
		Next string
	}
	s.As(apitest.ReaderToken, http.MethodGet, "/api/v1/pods?limit=2", "").Into(t, &page)
	require.Len(t, page.Pods, 2)
	require.Equal(t, model.OverallUnknown, page.Pods[0].OverallStatus)
	next := page.Next
	page.Next = ""
	s.As(apitest.ReaderToken, http.MethodGet, "/api/v1/pods?limit=2&cursor="+next, "").Into(t, &page)
	require.Len(t, page.Pods, 1)
	require.Empty(t, page.Next)
	s.As(apitest.OperatorToken, http.MethodGet, "/api/v1/pods?namespace=none", "").Into(t, &page)
	require.Empty(t, page.Pods)
	require.Contains(t, s.As(apitest.ReaderToken, http.MethodGet, "/api/v1/pods?namespace=x&status=Failed&overallStatus=UNKNOWN&image=web", "").Body, `"pods":[]`)
	require.Equal(t, "pods default x Failed UNKNOWN web", s.Asked[len(s.Asked)-1])

	for query, wrong := range map[string]string{
		"limit=0": "limit", "limit=1001": "limit", "limit=x": "limit", "status=Done": "status", "namspace=shop": "namspace",
		"namespace=" + strings.Repeat("n", 300): "namespace",
	} {
		got := s.As(apitest.ReaderToken, http.MethodGet, "/api/v1/pods?"+query, "")
		require.Equal(t, http.StatusBadRequest, got.Status, query)
		require.Contains(t, got.Problem(t), wrong)
	}
}

func TestImagesHubsAndClusters(t *testing.T) {
	s := serve(t)
	s.Judge(model.Summary{Digest: apitest.DigestOf('a'), Status: model.StatusComplete, OverallStatus: model.InViolation})
	report := `{"pods":[{"uid":"u","name":"web","namespace":"shop","containers":[{"name":"c","reference":"app:1","digest":"` + string(apitest.DigestOf('a')) + `"}]}]}`
	require.Equal(t, http.StatusOK, s.As(apitest.PerceiverToken, http.MethodPost, "/api/v1/reports", report).Status)
	for _, row := range []struct {
		token, method, path, body string
		status                    int
		contains                  string
	}{
		{apitest.ReaderToken, http.MethodGet, "/api/v1/images/" + string(apitest.DigestOf('a')), "", http.StatusOK, "IN_VIOLATION"},
		{apitest.ReaderToken, http.MethodGet, "/api/v1/images/" + apitest.Sha('a'), "", http.StatusOK, "IN_VIOLATION"},
		{apitest.ReaderToken, http.MethodGet, "/api/v1/images/" + apitest.Sha('b'), "", http.StatusNotFound, "no such image"},
		{apitest.ReaderToken, http.MethodGet, "/api/v1/images/" + apitest.Sha('a')[1:], "", http.StatusBadRequest, "63 characters"},
		{apitest.ReaderToken, http.MethodGet, "/api/v1/images/" + apitest.Sha('a') + "/findings?offset=1&limit=1", "", http.StatusOK, "F-1"},
		{apitest.ReaderToken, http.MethodGet, "/api/v1/images/" + apitest.Sha('a') + "/findings?offset=9", "", http.StatusOK, `"findings":[]`},
		{apitest.OperatorToken, http.MethodPost, "/api/v1/images", `{"reference":"app:1","platform":"linux/arm64","rescan":true}`, http.StatusAccepted, string(apitest.DigestOf('a'))},
		{apitest.OperatorToken, http.MethodPost, "/api/v1/images", `{"reference":"missing:1"}`, http.StatusNotFound, "the registry knows no such image"},
		{apitest.OperatorToken, http.MethodPost, "/api/v1/images", `{"reference":""}`, http.StatusBadRequest, "length"},
		{apitest.OperatorToken, http.MethodPost, "/api/v1/images", `{"reference":"app","platform":"linux"}`, http.StatusBadRequest, "OS/ARCHITECTURE"},
		{apitest.OperatorToken, http.MethodPost, "/api/v1/images", ``, http.StatusBadRequest, "body"},
		{apitest.OperatorToken, http.MethodPost, "/api/v1/images/" + apitest.Sha('a') + "/rescan", `{"reason":"new client"}`, http.StatusAccepted, ""},
		{apitest.OperatorToken, http.MethodPost, "/api/v1/images/" + apitest.Sha('a') + "/rescan", ``, http.StatusAccepted, ""},
		{apitest.OperatorToken, http.MethodPost, "/api/v1/images/" + apitest.Sha('a') + "/prioritize", "", http.StatusAccepted, ""},
		{apitest.OperatorToken, http.MethodPost, "/api/v1/images/" + apitest.Sha('b') + "/prioritize", "", http.StatusNotFound, "no such image"},
		{apitest.OperatorToken, http.MethodPost, "/api/v1/images/" + apitest.Sha('a')[1:] + "/prioritize", "", http.StatusBadRequest, "63 characters"},
		{apitest.ReaderToken, http.MethodPost, "/api/v1/images/" + apitest.Sha('a') + "/prioritize", "", http.StatusForbidden, "operator"},
		{apitest.ReaderToken, http.MethodGet, "/api/v1/hubs", "", http.StatusOK, `"name":"main"`},
		{apitest.OperatorToken, http.MethodPut, "/api/v1/hubs/main/limit", `{"limit":5}`, http.StatusOK, `"limit":5`},
		{apitest.OperatorToken, http.MethodPut, "/api/v1/hubs/main/limit", `{"limit":0}`, http.StatusBadRequest, "limit"},
		{apitest.OperatorToken, http.MethodPost, "/api/v1/hubs/other/pause", "", http.StatusBadRequest, "no hub is named other"},
		{apitest.OperatorToken, http.MethodPost, "/api/v1/hubs/main/pause", "", http.StatusOK, `"paused":true`},
		{apitest.OperatorToken, http.MethodPost, "/api/v1/hubs/main/resume", "", http.StatusOK, "main"},
		{apitest.OperatorToken, http.MethodPost, "/api/v1/hubs/main/retry", "", http.StatusAccepted, ""},
		{apitest.OperatorToken, http.MethodPost, "/api/v1/leases/reset", `{"stuck":true}`, http.StatusOK, apitest.Sha('b')},
		{apitest.OperatorToken, http.MethodPost, "/api/v1/leases/reset", `{}`, http.StatusBadRequest, "not both"},
		{apitest.ReaderToken, http.MethodGet, "/api/v1/clusters", "", http.StatusOK, `"name":"default"`},
		{apitest.ProdReaderToken, http.MethodGet, "/api/v1/clusters", "", http.StatusOK, `"clusters":[]`},
		{apitest.OperatorToken, http.MethodGet, "/api/v1/clusters/none", "", http.StatusNotFound, "no such cluster"},
		{apitest.OperatorToken, http.MethodDelete, "/api/v1/clusters/old", "", http.StatusAccepted, ""},
	} {
		got := s.As(row.token, row.method, row.path, row.body)
		require.Equal(t, row.status, got.Status, "%s %s: %s", row.method, row.path, got.Body)
		require.Contains(t, got.Body, row.contains, "%s %s", row.method, row.path)
		if got.Status >= http.StatusBadRequest {
			got.Problem(t)
		}
	}
	require.Contains(t, s.Asked, "scan app:1 for api/olga")
	require.Contains(t, s.Asked, "rescan "+string(apitest.DigestOf('a'))+": new client")
	require.Contains(t, s.Asked, "rescan "+string(apitest.DigestOf('a'))+": asked for by olga")
	require.Contains(t, s.Asked, "prioritize "+string(apitest.DigestOf('a')))
	require.NotContains(t, s.Asked, "prioritize "+string(apitest.DigestOf('b')))
	require.Contains(t, s.Asked, "forget old")
}

func TestReports(t *testing.T) {
	s := serve(t)
	got := s.As(apitest.ProdPerceiverToken, http.MethodPost, "/api/v1/reports", `{"version":{"epoch":7,"counter":3},"domain":"eu",
		"pods":[{"uid":"u","namespace":"shop","name":"web","containers":[]}],"gone":[{"namespace":"shop","name":"old"}]}`)
	require.Equal(t, http.StatusOK, got.Status, got.Body)
	require.JSONEq(t, `{"accepted":2}`, got.Body)
	r := s.Last()
	require.Equal(t, "prod", r.Cluster)
	require.Equal(t, model.Version{Epoch: 7, Counter: 3}, r.Version)
	require.Equal(t, "eu", r.Domain)
	require.Len(t, r.Pods, 1)
	require.Equal(t, []model.PodKey{{Namespace: "shop", Name: "old"}}, r.Gone)

	got = s.As(apitest.ProdPerceiverToken, http.MethodPost, "/api/v1/reports", `{"snapshot":true,"pods":[{"uid":"u","namespace":"shop","name":"web"},{"uid":"v"},7]}`)
	require.Equal(t, http.StatusMultiStatus, got.Status)
	var answer struct {
		Accepted int
		Rejected []struct {
			Index  int
			Reason string
		}
	}
	got.Into(t, &answer)
	require.Equal(t, 1, answer.Accepted)
	require.Len(t, answer.Rejected, 2)
	require.Equal(t, 1, answer.Rejected[0].Index)
	require.Contains(t, answer.Rejected[0].Reason, "namespace is missing")
	require.True(t, s.Last().Snapshot)
	require.NotZero(t, s.Last().Version.Epoch)

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
		`{"snapshot":true,"scope":"all"}`:                         "want pods or images",
		`{} {}`:                                                   "behind",
	} {
		got := s.As(apitest.ProdPerceiverToken, http.MethodPost, "/api/v1/reports", body)
		require.Equal(t, http.StatusBadRequest, got.Status, body)
		require.Contains(t, got.Problem(t), wrong, body)
	}
}

func TestSnapshotOfImages(t *testing.T) {
	s := serve(t)
	require.Equal(t, http.StatusOK, s.As(apitest.ProdPerceiverToken, http.MethodPost, "/api/v1/reports", `{"snapshot":true,"scope":"images"}`).Status)
	require.Equal(t, model.ScopeImages, s.Last().Scope)
}

// TestVersionFromTheFuture refuses a report whose clock is wrong: with it, all reports until that time would be ignored.
func TestVersionFromTheFuture(t *testing.T) {
	s := serve(t)
	report := func(ahead time.Duration) apitest.Answer {
		return s.As(apitest.ProdPerceiverToken, http.MethodPost, "/api/v1/reports",
			fmt.Sprintf(`{"version":{"epoch":%d,"counter":1},"pods":[{"uid":"u","namespace":"shop","name":"web"}]}`, time.Now().Add(ahead).UnixNano()))
	}
	for _, ahead := range []time.Duration{6 * time.Minute, time.Hour, 100 * 365 * 24 * time.Hour} {
		got := report(ahead)
		require.Equal(t, http.StatusBadRequest, got.Status, got.Body)
		require.Contains(t, got.Problem(t), "ahead of this server's clock")
		require.Contains(t, got.Problem(t), "at most 5m0s is allowed")
	}
	require.Empty(t, s.Reports)
	for i, ahead := range []time.Duration{-time.Hour, 0, 4 * time.Minute} {
		require.Equal(t, http.StatusOK, report(ahead).Status)
		require.Len(t, s.Reports, i+1)
	}
}
