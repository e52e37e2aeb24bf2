package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzBatch reads any bytes as a body with a list. JSON with a list is read item by item; everything else is refused.
func FuzzBatch(f *testing.F) {
	f.Add([]byte(`{"Pods":[{"Name":"web","Namespace":"n"},7]}`))
	f.Add([]byte(`{"Pods":null}`))
	f.Add([]byte(`{"other":[[]],"pods":[]}`))
	f.Add([]byte(`{"Pods":[],"Pods":[]}`))
	f.Add([]byte(`{"Pods":[]} `))
	f.Add([]byte(`{"Pods":[}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r := Request{Writer: httptest.NewRecorder(), Request: httptest.NewRequest(http.MethodPut, "/allpods", bytes.NewReader(body))}
		items := 0
		err := r.ReadBatch("Pods", func(i int, text json.RawMessage) {
			require.Equal(t, items, i)
			require.True(t, json.Valid(text))
			items++
		})
		if err != nil {
			require.NotNil(t, AsRefusal(err))
			return
		}
		require.True(t, json.Valid(body))
	})
}
