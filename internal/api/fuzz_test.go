package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

const fuzzSum = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

// FuzzPod reads any bytes as the body of POST /pod and of POST /image, of both generations: what is taken passes the check
// that everything behind the API relies on, and what is refused is refused with a reason.
func FuzzPod(f *testing.F) {
	f.Add([]byte(`{"Name":"web","UID":"u","Namespace":"n","Containers":[{"Name":"c","Image":{"Repository":"app","Tag":"1","Sha":"` + fuzzSum + `","Priority":1}}]}`))
	f.Add([]byte(`{"Name":"web","Namespace":"n","Containers":[{"Image":{"Name":"app","Sha":"` + fuzzSum + `","DockerImage":"app:1"}}]}`))
	f.Add([]byte(`{"Repository":"app","Sha":"` + fuzzSum + `","BlackDuckProjectName":"p","BlackDuckProjectVersion":"v"}`))
	f.Add([]byte(`{"Name":"app","Sha":"` + fuzzSum + `"}`))
	f.Add([]byte(`{"Containers":{}}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, body []byte) {
		var pod originalPod
		if err := decodeObject(body, &pod); err == nil {
			requireTakable(t, pod.pod)
		} else {
			require.NotEmpty(t, err.Error())
		}
		var bare originalImage
		if err := decodeObject(body, &bare); err == nil {
			requireTakable(t, bare.bare)
		}
	})
}

func requireTakable(t *testing.T, read func() (model.Pod, error)) {
	t.Helper()
	p, err := read()
	if err != nil {
		require.NotEmpty(t, err.Error())
		return
	}
	require.NoError(t, p.Check())
	text, err := json.Marshal(p)
	require.NoError(t, err)
	require.False(t, bytes.Contains(text, []byte(`\u0000`)))
}

// FuzzPodName reads any bytes as the body of DELETE /pod.
func FuzzPodName(f *testing.F) {
	for _, body := range []string{"shop/web-1", `"shop/web-1"`, "web", `"web"`, "", "/", "a/b/c", `"a/b`, "\x00", "{}", `"\u0000/a"`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		key, err := parsePodName(body)
		if err != nil {
			require.Contains(t, err.Error(), "namespace/name")
			return
		}
		require.NotEmpty(t, key.Name)
		require.NotContains(t, key.Name, "/")
		require.NotContains(t, key.Namespace, "/")
		require.False(t, strings.HasPrefix(key.Namespace, model.ReservedNamespaces))
	})
}

// FuzzBatch reads any bytes as the body of PUT /allpods: what is JSON with a list of pods is read, item by item, and
// nothing else is.
func FuzzBatch(f *testing.F) {
	f.Add([]byte(`{"Pods":[{"Name":"web","Namespace":"n"},7]}`))
	f.Add([]byte(`{"Pods":null}`))
	f.Add([]byte(`{"other":[[]],"pods":[]}`))
	f.Add([]byte(`{"Pods":[],"Pods":[]}`))
	f.Add([]byte(`{"Pods":[]} `))
	f.Add([]byte(`{"Pods":[}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		c := call{writer: httptest.NewRecorder(), Request: httptest.NewRequest(http.MethodPut, "/allpods", bytes.NewReader(body))}
		items := 0
		err := c.readBatch("Pods", func(i int, text json.RawMessage) {
			require.Equal(t, items, i)
			require.True(t, json.Valid(text))
			items++
		})
		if err != nil {
			require.NotNil(t, asRefusal(err))
			return
		}
		require.True(t, json.Valid(body))
	})
}
