package v1

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/internal/api/access"
)

// FuzzReport reads any bytes as the body of POST /api/v1/reports. What is accepted passes the check that the rest of
// Perceptor relies on. What is refused is refused with a reason.
func FuzzReport(f *testing.F) {
	const digest = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	f.Add([]byte(`{"version":{"epoch":7,"counter":3},"domain":"eu",
		"pods":[{"uid":"u","namespace":"n","name":"web","containers":[{"reference":"app:1","digest":"` + digest + `"}]}]}`))
	f.Add([]byte(`{"snapshot":true,"scope":"pods","pods":[{"uid":"u","bare":true,"containers":[{"reference":"app","digest":"` + digest + `"}]},7]}`))
	f.Add([]byte(`{"cluster":"prod","gone":[{"namespace":"n","name":"old"},{"name":"x/y"}]}`))
	f.Add([]byte(`{"version":{"epoch":9223372036854775807,"counter":-1}}`))
	f.Add([]byte(`{"version":7}`))
	f.Add([]byte(`{"pods":[}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, body []byte) {
		request := &api.Request{Writer: httptest.NewRecorder(), Request: httptest.NewRequest(http.MethodPost, reportPath, bytes.NewReader(body))}
		read, err := readReport(request)
		if err != nil {
			require.NotNil(t, api.AsRefusal(err))
			require.NotEmpty(t, err.Error())
			return
		}
		require.True(t, json.Valid(body))
		for _, p := range read.batch.Pods {
			require.NoError(t, p.Check())
		}
		for _, key := range read.gone {
			require.NoError(t, api.CheckKey(key))
		}
		now := time.Now()
		if err := read.check(access.Grant{Scope: access.Perceiver, Cluster: "prod"}, now); err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		if v := read.head.Version; v != nil {
			require.Positive(t, v.Epoch)
			require.LessOrEqual(t, v.Epoch, now.Add(aheadAtMost).UnixNano())
		}
	})
}
