package compat_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/internal/api/apitest"
	"github.com/perceptor/perceptor/model"
)

func podBody(namespace, name, repository, sum string) string {
	text, err := json.Marshal(map[string]any{
		"Name": name, "UID": "u", "Namespace": namespace,
		"Containers": []any{map[string]any{"Name": "c", "Image": map[string]any{"Repository": repository, "Tag": "1", "Sha": sum}}},
	})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// deep is JSON within JSON within JSON.
func deep(open, closing string, levels int) string {
	return strings.Repeat(open, levels) + strings.Repeat(closing, levels)
}

// TestBadInput sends bad bodies to every endpoint. Each answer says what is wrong, nothing is reported, and the server
// continues.
func TestBadInput(t *testing.T) {
	s := serve(t)
	long := strings.Repeat("r", 2000)
	containers := make([]any, 10_000)
	for i := range containers {
		containers[i] = map[string]any{"Name": fmt.Sprint(i), "Image": map[string]any{"Repository": "app", "Sha": apitest.Sha('a')}}
	}
	crowded, err := json.Marshal(map[string]any{"Name": "p", "UID": "u", "Namespace": "n", "Containers": containers})
	require.NoError(t, err)
	for _, row := range []struct {
		what, method, path, body string
		status                   int
		says                     string
	}{
		{"empty", http.MethodPost, "/pod", "", 400, "the body is empty"},
		{"blank", http.MethodPost, "/pod", " \n\t", 400, "the body is empty"},
		{"null", http.MethodPost, "/pod", "null", 400, "want a JSON object"},
		{"a list", http.MethodPost, "/pod", "[]", 400, "want a JSON object"},
		{"a text", http.MethodPost, "/pod", `"pod"`, 400, "want a JSON object"},
		{"nothing in it", http.MethodPost, "/pod", "{}", 400, "namespace is missing"},
		{"cut off", http.MethodPost, "/pod", `{"Name":"web`, 400, "not JSON"},
		{"more behind it", http.MethodPost, "/pod", podBody("n", "p", "app", apitest.Sha('a')) + "x", 400, "not JSON"},
		{"wrong type", http.MethodPost, "/pod", `{"Name":7}`, 400, "Name: got number; want a string"},
		{"wrong type inside", http.MethodPost, "/pod", `{"Containers":[{"Image":{"Sha":[]}}]}`, 400, "Containers.Image.Sha: got array; want a string"},
		{"containers are no list", http.MethodPost, "/pod", `{"Containers":{}}`, 400, "Containers: got object; want a list"},
		{"deep", http.MethodPost, "/pod", `{"Containers":` + deep("[", "]", 100_000) + "}", 400, "max depth"},
		{"deep elsewhere", http.MethodPost, "/pod", `{"Other":` + deep(`{"a":`, "}", 100_000) + "}", 400, ""},
		{"huge", http.MethodPost, "/pod", `{"Name":"` + strings.Repeat("x", 3<<20) + `"}`, 413, "larger than 2 MiB"},
		{"63 digits", http.MethodPost, "/pod", podBody("n", "p", "app", apitest.Sha('a')[1:]), 400, "got 63 characters"},
		{"65 digits", http.MethodPost, "/pod", podBody("n", "p", "app", apitest.Sha('a')+"a"), 400, "got 65 characters"},
		{"no digits", http.MethodPost, "/pod", podBody("n", "p", "app", ""), 400, "no Sha"},
		{"not hexadecimal", http.MethodPost, "/pod", podBody("n", "p", "app", apitest.Sha('g')), 400, "hexadecimal"},
		{"upper case", http.MethodPost, "/pod", podBody("n", "p", "app", apitest.Sha('A')), 400, "lower-case"},
		{"NUL in the name", http.MethodPost, "/pod", podBody("n", "a\x00b", "app", apitest.Sha('a')), 400, "control character"},
		{"escape in the repository", http.MethodPost, "/pod", podBody("n", "p", "app\x1b[2J", apitest.Sha('a')), 400, "control character"},
		{"line break in the namespace", http.MethodPost, "/pod", podBody("n\nm", "p", "app", apitest.Sha('a')), 400, "space"},
		{"slash in the namespace", http.MethodPost, "/pod", podBody("n/m", "p", "app", apitest.Sha('a')), 400, "slash"},
		{"a reserved namespace", http.MethodPost, "/pod", podBody("_images", "p", "app", apitest.Sha('a')), 400, "underscore"},
		{"long repository", http.MethodPost, "/pod", podBody("n", "p", long, apitest.Sha('a')), 400, "2000 characters; at most 509"},
		{"long name", http.MethodPost, "/pod", podBody("n", long, "app", apitest.Sha('a')), 400, "2000 characters; at most 253"},
		{"10,000 containers", http.MethodPost, "/pod", string(crowded), 400, "10000 Containers; at most 500"},
		{"no repository", http.MethodPost, "/pod", podBody("n", "p", "", apitest.Sha('a')), 400, "without a repository"},
		{"PUT too", http.MethodPut, "/pod", "{}", 400, "namespace is missing"},

		{"no name", http.MethodDelete, "/pod", "", 400, "want the pod that is gone as namespace/name"},
		{"gone in two namespaces", http.MethodDelete, "/pod", "a/b/c", 400, "slash"},
		{"gone without a name", http.MethodDelete, "/pod", "a/", 400, "name is missing"},
		{"gone without a namespace", http.MethodDelete, "/pod", "/b", 400, "namespace is missing"},
		{"gone with NUL", http.MethodDelete, "/pod", "a/b\x00", 400, "control character"},
		{"gone, no UTF-8", http.MethodDelete, "/pod", "a/\xff\xfe", 400, "UTF-8"},
		{"gone, half a string", http.MethodDelete, "/pod", `"a/b`, 400, "JSON string"},
		{"gone, an object", http.MethodDelete, "/pod", `{"Name":"b"}`, 400, "want the pod"},
		{"gone, huge", http.MethodDelete, "/pod", "a/" + strings.Repeat("b", 3<<20), 413, "larger than 2 MiB"},
		{"gone by path", http.MethodDelete, "/pod/_images/b", "", 400, "underscore"},
		{"gone by a long path", http.MethodDelete, "/pod/" + long + "/b", "", 400, "at most 253"},

		{"all: empty", http.MethodPut, "/allpods", "", 400, "the body is empty"},
		{"all: no list", http.MethodPut, "/allpods", "{}", 400, `Pods is missing: want {"Pods": [...]}`},
		{"all: an object", http.MethodPut, "/allpods", `{"Pods":{}}`, 400, "Pods is no list"},
		{"all: a list", http.MethodPut, "/allpods", "[]", 400, "not a JSON object"},
		{"all: cut off", http.MethodPut, "/allpods", `{"Pods":[` + podBody("n", "p", "app", apitest.Sha('a')) + `,`, 400, "ends too soon"},
		{"all: broken", http.MethodPut, "/allpods", `{"Pods":[` + podBody("n", "p", "app", apitest.Sha('a')) + `}]`, 400, "not JSON"},
		{"all: twice", http.MethodPut, "/allpods", `{"Pods":[],"pods":[]}`, 400, "twice"},
		{"all: more behind it", http.MethodPut, "/allpods", `{"Pods":[]} {"Pods":[]}`, 400, "behind"},
		{"all: deep", http.MethodPut, "/allpods", `{"Pods":[` + deep("[", "]", 100_000) + `]}`, 400, "max depth"},
		{"all: deep elsewhere", http.MethodPut, "/allpods", `{"Other":` + deep("[", "]", 100_000) + `}`, 400, "max depth"},
		{"all: every one wrong", http.MethodPut, "/allpods", `{"Pods":[1,{}]}`, 400, `"Accepted": 0`},
		{"all: POST", http.MethodPost, "/allpods", "{}", 400, "Pods is missing"},

		{"image: empty", http.MethodPost, "/image", "", 400, "the body is empty"},
		{"image: 65 digits", http.MethodPost, "/image", `{"Repository":"app","Sha":"` + apitest.Sha('a') + `a"}`, 400, "got 65 characters"},
		{"image: long", http.MethodPost, "/image", `{"Repository":"` + long + `","Sha":"` + apitest.Sha('a') + `"}`, 400, "at most 509"},
		{"image: wrong type", http.MethodPost, "/image", `{"Repository":["app"]}`, 400, "Repository: got array; want a string"},
		{"images: no list", http.MethodPut, "/allimages", `{"images":"all"}`, 400, "Images is no list"},
		{"images: missing", http.MethodPut, "/allimages", `{"Pods":[]}`, 400, "Images is missing"},
	} {
		t.Run(row.what, func(t *testing.T) {
			got := s.As(apitest.PerceiverToken, row.method, row.path, row.body)
			require.Equal(t, row.status, got.Status, got.Body)
			require.Contains(t, got.Body, row.says)
			require.Less(t, len(got.Body), 1000, "an answer does not repeat what was sent")
		})
	}
	require.Empty(t, s.Reports)
	for _, path := range []string{"/command", "/concurrentscanlimit"} {
		for _, body := range []string{"", "null", "[]", "{}", "{", `{"Limit":"3"}`, `{"Limit":0}`, `{"Limit":1e99}`, `{"Limit":2.5}`, deep("[", "]", 100_000)} {
			got := s.As(apitest.OperatorToken, http.MethodPost, path, body)
			require.Equal(t, http.StatusBadRequest, got.Status, "%s %.40s: %s", path, body, got.Body)
		}
	}
	require.Equal(t, 2, s.HubList[0].Limit)
	require.Equal(t, http.StatusOK, s.As(apitest.PerceiverToken, http.MethodPost, "/pod", podBody("n", "p", "app", apitest.Sha('a'))).Status)
}

// TestOddInputThatIsFine is what looks wrong and is not.
func TestOddInputThatIsFine(t *testing.T) {
	s := serve(t)
	for what, body := range map[string]string{
		"unknown fields":   `{"Name":"p","UID":"u","Namespace":"n","Containers":[{"Image":{"Repository":"app","Sha":"` + apitest.Sha('a') + `","New":{}}}],"Later":[1,2]}`,
		"other case":       `{"name":"p","uid":"u","namespace":"n","containers":[{"image":{"repository":"app","sha":"` + apitest.Sha('a') + `"}}]}`,
		"no containers":    `{"Name":"p","UID":"u","Namespace":"n"}`,
		"null containers":  `{"Name":"p","UID":"u","Namespace":"n","Containers":null}`,
		"no UID":           `{"Name":"p","Namespace":"n"}`,
		"longest names":    podBody(strings.Repeat("n", 63), strings.Repeat("p", 253), "registry.example:5000/"+strings.Repeat("r", 255), apitest.Sha('a')),
		"sha256 in front":  podBody("n", "p", "app", "sha256:"+apitest.Sha('a')),
		"odd letters":      podBody("größe", "p", "app", apitest.Sha('a')),
		"spaces around it": " \n" + podBody("n", "p", "app", apitest.Sha('a')) + " \n",
	} {
		t.Run(what, func(t *testing.T) {
			got := s.As(apitest.PerceiverToken, http.MethodPost, "/pod", body)
			require.Equal(t, http.StatusOK, got.Status, got.Body)
		})
	}
}

// TestBatches keeps what is good, names what is wrong, and takes the last of several with one name.
func TestBatches(t *testing.T) {
	s := serve(t)
	good := podBody("n", "p", "app", apitest.Sha('a'))
	body := `{"Other":{"deep":[1]},"Pods":[` + strings.Join([]string{
		good, podBody("n", "bad", "app", apitest.Sha('a')[1:]), "7", podBody("n", "p", "newer", apitest.Sha('b')), podBody("n", "q", "app", apitest.Sha('a')),
	}, ",") + `]}`
	got := s.As(apitest.PerceiverToken, http.MethodPut, "/allpods", body)
	require.Equal(t, http.StatusMultiStatus, got.Status)
	var answer struct {
		Accepted int
		Rejected []struct {
			Index        int
			Name, Reason string
		}
		More int
	}
	got.Into(t, &answer)
	require.Equal(t, 3, answer.Accepted)
	require.Len(t, answer.Rejected, 2)
	require.Equal(t, 1, answer.Rejected[0].Index)
	require.Equal(t, "n/bad", answer.Rejected[0].Name)
	require.Contains(t, answer.Rejected[0].Reason, "got 63 characters")
	require.Equal(t, 2, answer.Rejected[1].Index)
	r := s.Last()
	require.True(t, r.Snapshot)
	require.Equal(t, model.ScopePods, r.Scope)
	require.Len(t, r.Pods, 2)
	require.Equal(t, "newer:1", r.Pods[0].Containers[0].Reference)

	many := make([]string, 300)
	for i := range many {
		many[i] = "{}"
	}
	got = s.As(apitest.PerceiverToken, http.MethodPut, "/allimages", `{"Images":[{"Repository":"app","Sha":"`+apitest.Sha('a')+`"},`+strings.Join(many, ",")+`]}`)
	require.Equal(t, http.StatusMultiStatus, got.Status)
	answer.Rejected = nil
	got.Into(t, &answer)
	require.Len(t, answer.Rejected, 100)
	require.Equal(t, 200, answer.More)
	require.False(t, s.Last().Snapshot)

	before := len(s.Reports)
	require.Equal(t, http.StatusOK, s.As(apitest.PerceiverToken, http.MethodPut, "/allimages", `{"Images":null}`).Status)
	require.Len(t, s.Reports, before, "no images, nothing to say")
	require.Equal(t, http.StatusOK, s.As(apitest.PerceiverToken, http.MethodPut, "/allpods", `{"Pods":null}`).Status)
	require.Len(t, s.Reports, before+1, "no pods is news")
	require.Empty(t, s.Last().Pods)
}

// endless is a body that repeats something without end.
type endless struct {
	head   io.Reader
	repeat string
	sent   int
}

func (e *endless) Read(p []byte) (int, error) {
	if n, err := e.head.Read(p); err == nil {
		return n, nil
	}
	n := copy(p, strings.Repeat(e.repeat, len(p)/len(e.repeat)+1)[e.sent%len(e.repeat):])
	e.sent += n
	return n, nil
}

func TestEndlessBatch(t *testing.T) {
	s := serve(t)
	for repeat, says := range map[string]string{" ": "a single item", "x": "a single item", "[": "max depth", `{},`: "more than 200000 items"} {
		head := `{"Pods":[`
		if repeat == "x" {
			head += `"`
		}
		body := &endless{head: strings.NewReader(head), repeat: repeat}
		got := s.Send(apitest.PerceiverToken, http.MethodPut, "/allpods", body)
		require.GreaterOrEqual(t, got.Status, http.StatusBadRequest, repeat)
		require.Contains(t, got.Body, says)
		require.LessOrEqual(t, body.sent, 130<<20)
	}
	require.Empty(t, s.Reports)
}

// TestDeleteWithoutANamespace deletes nothing: a living pod of any namespace may have the name. The answer stays 200.
func TestDeleteWithoutANamespace(t *testing.T) {
	s := serve(t)
	for _, each := range [][2]string{{"both", "n"}, {"both", "m"}, {"one", "n"}} {
		body := `{"Name":"` + each[0] + `","UID":"` + each[0] + each[1] + `","Namespace":"` + each[1] + `"}`
		require.Equal(t, http.StatusOK, s.As(apitest.PerceiverToken, http.MethodPost, "/pod", body).Status)
	}
	before := len(s.Reports)
	for _, name := range []string{`"both"`, `"one"`, "one", `"none"`} {
		got := s.As(apitest.PerceiverToken, http.MethodDelete, "/pod", name)
		require.Equal(t, http.StatusOK, got.Status, got.Body)
		require.Empty(t, got.Body)
	}
	require.Len(t, s.Reports, before, "nothing is deleted")
	require.Contains(t, s.Log.String(), "pod was not deleted")
	require.Contains(t, s.Log.String(), "name=both")
	counted := s.As("", http.MethodGet, "/metrics", "").Body
	require.Contains(t, strings.Split(counted, "\n"), "perceptor_core_pod_deletes_without_namespace_total 4")

	require.Equal(t, http.StatusOK, s.As(apitest.PerceiverToken, http.MethodDelete, "/pod", `"n/one"`).Status)
	require.Equal(t, []model.PodKey{{Namespace: "n", Name: "one"}}, s.Last().Gone)

	// The next snapshot removes the pod that is gone, and no other.
	require.Equal(t, http.StatusOK, s.As(apitest.PerceiverToken, http.MethodPut, "/allpods", `{"Pods":[{"Name":"both","UID":"bothm","Namespace":"m"}]}`).Status)
	page, err := s.Pods(t.Context(), api.PodQuery{Cluster: "default", Limit: 10})
	require.NoError(t, err)
	require.Len(t, page.Pods, 1)
	require.Equal(t, "m", page.Pods[0].Namespace)
}
