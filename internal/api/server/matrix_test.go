package server_test

import (
	"bufio"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/api/apitest"
	"github.com/perceptor/perceptor/model"
)

// accessTable is the documented access: a right for each endpoint and kind of token.
func accessTable(t *testing.T) map[string][]string {
	t.Helper()
	file, err := os.Open("../../../docs/access.md")
	require.NoError(t, err)
	defer file.Close() //nolint:errcheck // only read
	table := map[string][]string{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		cells := strings.Split(strings.Trim(lines.Text(), "| "), "|")
		if len(cells) != 1+6 || !strings.Contains(cells[0], "`") {
			continue
		}
		for i := range cells {
			cells[i] = strings.Trim(cells[i], " `")
		}
		require.NotContains(t, table, cells[0])
		table[cells[0]] = cells[1:]
	}
	return table
}

// kinds are tokens of both clusters and of all, with their column in the table.
var kinds = []struct {
	token, cluster string
	column         int
}{
	{apitest.PerceiverToken, "default", 0},
	{apitest.ProdPerceiverToken, "prod", 0},
	{apitest.ReaderToken, "default", 1},
	{apitest.ProdReaderToken, "prod", 1},
	{apitest.ProdOperatorToken, "prod", 2},
	{apitest.AllReaderToken, "*", 3},
	{apitest.OperatorToken, "*", 4},
	{apitest.ScannerToken, "*", 5},
}

// target is what a request is about: the things of one cluster.
type target struct {
	cluster, pod string
	digest       model.Digest
}

var targets = []target{
	{"default", "pod-of-default", apitest.DigestOf('a')},
	{"prod", "pod-of-prod", apitest.DigestOf('b')},
}

// filled is a server with both clusters, each with one pod that runs an image of its own.
func filled(t *testing.T) *apitest.Served {
	t.Helper()
	return refilled(t, serve(t))
}

// refilled forgets what earlier requests did to a server.
func refilled(t *testing.T, s *apitest.Served) *apitest.Served {
	t.Helper()
	s.Reset()
	for i, token := range []string{apitest.PerceiverToken, apitest.ProdPerceiverToken} {
		each := targets[i]
		body := `{"pods":[{"uid":"` + each.pod + `","name":"` + each.pod + `","namespace":"shop","containers":[{"name":"c","reference":"a:1","digest":"` + string(each.digest) + `"}]}]}`
		require.Equal(t, http.StatusOK, s.As(token, http.MethodPost, "/api/v1/reports", body).Status)
		s.Judge(model.Summary{Digest: each.digest, Status: model.StatusComplete, OverallStatus: model.InViolation})
	}
	for _, each := range targets {
		s.HandOut(each.digest, "scanner-1")
	}
	s.Asked = nil
	return s
}

// bodies are the bodies of the endpoints that need one.
func bodyOf(endpoint string, at target) string {
	pod := `{"Name":"` + at.pod + `","UID":"` + at.pod + `","Namespace":"shop","Containers":[{"Name":"c","Image":{"Repository":"app","Tag":"1","Sha":"` + at.digest.Hex() + `"}}]}`
	image := `{"Repository":"app","Tag":"1","Sha":"` + at.digest.Hex() + `"}`
	switch endpoint {
	case "POST /api/v1/reports":
		return `{"cluster":"` + at.cluster + `","pods":[{"uid":"` + at.pod + `","name":"` + at.pod + `","namespace":"shop"}]}`
	case "POST /api/v1/images":
		return `{"reference":"app:1"}`
	case "PUT /api/v1/hubs/{hub}/limit":
		return `{"limit":7}`
	case "POST /api/v1/leases/reset":
		return `{"digest":"` + string(at.digest) + `"}`
	case "POST /pod", "PUT /pod":
		return pod
	case "PUT /allpods", "POST /allpods":
		return `{"Pods":[` + pod + `]}`
	case "POST /image":
		return image
	case "PUT /allimages", "POST /allimages":
		return `{"Images":[` + image + `]}`
	case "DELETE /pod":
		return "shop/" + at.pod
	case "POST /finishedscan":
		return `{"ImageSpec":{"Sha":"` + at.digest.Hex() + `"},"Err":""}`
	case "POST /command":
		return `{"ResetCircuitBreaker":true}`
	case "POST /concurrentscanlimit":
		return `{"Limit":7}`
	}
	return ""
}

// open are the patterns that need no token.
var open = []string{
	"GET /{$}", "GET /metrics", "GET /healthz", "GET /readyz", "GET /docs", "GET /openapi.json", "GET /openapi.yaml", "GET /openapi-3.0.json",
	"GET /openapi-3.0.yaml",
}

// guardedEndpoints are all endpoints of the router that need a token, by method and path.
func guardedEndpoints(t *testing.T) []string {
	t.Helper()
	patterns := serve(t).Patterns()
	return slices.DeleteFunc(slices.Clone(patterns), func(pattern string) bool {
		if slices.Contains(open, pattern) {
			return true
		}
		if strings.Contains(pattern, " ") {
			return false
		}
		require.True(t, slices.ContainsFunc(patterns, func(other string) bool { return strings.HasSuffix(other, " "+pattern) }), "the methods of %s are not noted", pattern)
		return true
	})
}

// TestAccessIsTheDocumentedOne asks every endpoint with every kind of token about the things of both clusters.
func TestAccessIsTheDocumentedOne(t *testing.T) {
	table := accessTable(t)
	all := guardedEndpoints(t)
	require.Len(t, table, len(all), "docs/access.md has a row for each endpoint, and no other: %v", all)
	asked, s := 0, serve(t)
	for _, endpoint := range all {
		require.Contains(t, table, endpoint, "docs/access.md needs a row")
		for _, kind := range kinds {
			for _, at := range targets {
				checkAccess(t, s, endpoint, kind.token, kind.cluster, table[endpoint][kind.column], at)
				asked++
			}
		}
		for _, token := range []string{"", "a-token-without-an-owner"} {
			got := ask(t, s, endpoint, token, targets[0])
			require.Equal(t, http.StatusUnauthorized, got.Status, endpoint)
		}
	}
	require.Equal(t, len(all)*len(kinds)*len(targets), asked)
}

func ask(t *testing.T, s *apitest.Served, endpoint, token string, at target) apitest.Answer {
	t.Helper()
	method, path, _ := strings.Cut(endpoint, " ")
	path = strings.NewReplacer("{digest}", string(at.digest), "{cluster}", at.cluster, "{hub}", "main", "{namespace}", "shop", "{name}", at.pod).Replace(path)
	return s.As(token, method, path, bodyOf(endpoint, at))
}

// singular are the endpoints whose request names the thing of a cluster.
func singular(endpoint string) bool {
	return strings.Contains(endpoint, "{digest}") || strings.Contains(endpoint, "{cluster}") || endpoint == "POST /api/v1/reports"
}

func checkAccess(t *testing.T, s *apitest.Served, endpoint, token, cluster, right string, at target) {
	t.Helper()
	refilled(t, s)
	reports := len(s.Reports)
	got := ask(t, s, endpoint, token, at)
	what := endpoint + " as " + token + " about " + at.cluster + ": " + got.Body
	home := cluster
	if home == "*" {
		home = "default"
	}
	foreign := at.cluster != cluster && cluster != "*"
	switch {
	case right == "no":
		require.Equal(t, http.StatusForbidden, got.Status, what)
	case right == "own" && foreign && singular(endpoint):
		require.Contains(t, []int{http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound}, got.Status, what)
	default:
		require.Contains(t, []string{"own", "all"}, right, what)
		require.Less(t, got.Status, http.StatusMultipleChoices, what)
	}
	refused := got.Status >= http.StatusBadRequest
	if refused {
		require.Empty(t, changes(s), "what is refused changes nothing: %s", what)
		require.Len(t, s.Reports, reports, what)
	} else if len(s.Reports) > reports {
		require.Equal(t, home, s.Last().Cluster, "a report is of the token's cluster: %s", what)
	}
	if right == "all" && !refused || endpoint == "POST /api/v1/images" { // the answer names the image that was asked for
		return
	}
	for _, each := range targets { // nothing of another cluster is in the answer, whatever was asked for
		if each.cluster == home || refused && each == at {
			continue
		}
		require.NotContains(t, got.Body, each.pod, what)
		require.NotContains(t, got.Body, each.digest.Hex(), what)
	}
}

// changes are the calls that change something.
func changes(s *apitest.Served) []string {
	var all []string
	for _, each := range s.Asked {
		if word, _, _ := strings.Cut(each, " "); slices.Contains([]string{"forget", "scan", "rescan", "prioritize", "reset", "finished", "failed"}, word) {
			all = append(all, each)
		}
	}
	if h := s.HubList[0]; h.Limit != 2 || h.Paused {
		all = append(all, "hub")
	}
	return all
}
