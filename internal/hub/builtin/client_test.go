package builtin_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// answer is a reply read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// text takes one field of the body.
func (a answer) text(path ...string) string {
	var value any
	if json.Unmarshal(a.body, &value) != nil {
		return ""
	}
	for _, step := range path {
		object, _ := value.(map[string]any)
		value = object[step]
	}
	return fmt.Sprint(value)
}

// call sends a request to a path or URL, logged in unless the headers say otherwise.
func (h *testHub) call(method, at, body string, headers ...string) answer {
	h.t.Helper()
	if strings.HasPrefix(at, "/") {
		at = h.base + at
	}
	request, err := http.NewRequestWithContext(h.t.Context(), method, at, strings.NewReader(body))
	require.NoError(h.t, err)
	request.Header.Set("Authorization", "Bearer "+h.bearer)
	request.Header.Set("X-CSRF-TOKEN", h.csrf)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Del(headers[i])
		if headers[i+1] != "" {
			request.Header.Set(headers[i], headers[i+1])
		}
	}
	return h.do(request)
}

func (h *testHub) do(request *http.Request) answer {
	h.t.Helper()
	reply, err := h.client.Do(request)
	require.NoError(h.t, err)
	defer func() { _ = reply.Body.Close() }()
	raw, err := io.ReadAll(reply.Body)
	require.NoError(h.t, err)
	return answer{reply.StatusCode, reply.Header, raw}
}

func (h *testHub) get(at string) answer {
	h.t.Helper()
	a := h.call(http.MethodGet, at, "")
	require.Equal(h.t, http.StatusOK, a.status, "%s: %s", at, a.body)
	return a
}

// decode reads a JSON object of a path.
func (h *testHub) decode(at string, into any) {
	h.t.Helper()
	require.NoError(h.t, json.Unmarshal(h.get(at).body, into))
}

// upload is what a scan client sends.
type upload struct {
	project, version, scan, attempt, document, mediaType string
}

func (u upload) request(h *testHub) *http.Request {
	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	for _, field := range [][2]string{{"projectName", u.project}, {"versionName", u.version}, {"codeLocationName", u.scan}} {
		if field[1] != "" {
			require.NoError(h.t, parts.WriteField(field[0], field[1]))
		}
	}
	if u.mediaType == "" {
		u.mediaType = "application/vnd.cyclonedx"
	}
	part, err := parts.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="file"; filename="bom.json"`}, "Content-Type": {u.mediaType},
	})
	require.NoError(h.t, err)
	_, err = part.Write([]byte(u.document))
	require.NoError(h.t, err)
	require.NoError(h.t, parts.Close())
	request, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, h.base+"/api/scan/data", &form)
	require.NoError(h.t, err)
	request.Header.Set("Content-Type", parts.FormDataContentType())
	request.Header.Set("Authorization", "Bearer "+h.bearer)
	request.Header.Set("X-CSRF-TOKEN", h.csrf)
	if u.attempt != "" {
		request.Header.Set("X-Perceptor-Attempt", u.attempt)
	}
	return request
}

func (h *testHub) upload(u upload) answer {
	h.t.Helper()
	return h.do(u.request(h))
}

// scan uploads and waits until the hub has finished.
func (h *testHub) scan(u upload) answer {
	h.t.Helper()
	a := h.upload(u)
	require.Equal(h.t, http.StatusCreated, a.status, "%s", a.body)
	h.awaitScan(a.header.Get("Location"))
	return a
}

func (h *testHub) awaitScan(at string) {
	h.t.Helper()
	require.Eventually(h.t, func() bool { return h.call(http.MethodGet, at, "").text("scanState") == "SUCCESS" }, patience, 2*time.Millisecond)
}

// location is the only code location whose name holds a text.
func (h *testHub) location(name string) (href, version string) {
	h.t.Helper()
	var list struct {
		Items []struct {
			Mapped string `json:"mappedProjectVersion"`
			Meta   struct {
				Href string `json:"href"`
			} `json:"_meta"`
		} `json:"items"`
	}
	h.decode("/api/codelocations?q=name:"+name, &list)
	require.Len(h.t, list.Items, 1)
	return list.Items[0].Meta.Href, list.Items[0].Mapped
}
