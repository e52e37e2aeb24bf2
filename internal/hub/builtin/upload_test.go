package builtin_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin"
)

func TestAttempts(t *testing.T) {
	h := open(t, t.TempDir())
	one := upload{project: "p", version: "v", scan: "name", document: document("pkg:npm/a@1.0.0")}
	with := func(attempt string) upload { u := one; u.attempt = attempt; return u }

	first := h.scan(with("1000-2"))
	again := h.upload(with("1000-2"))
	require.Equal(t, http.StatusCreated, again.status)
	require.Equal(t, first.header.Get("Location"), again.header.Get("Location"), "the same attempt is the same scan")

	for _, older := range []string{"1000-1", "999-9"} {
		a := h.upload(with(older))
		require.Equal(t, http.StatusConflict, a.status)
		require.Contains(t, a.text("errorMessage"), "older than 1000-2")
	}
	other := with("1-1")
	other.scan = "another name"
	h.scan(other)
	newer := h.scan(with("1000-3"))
	require.NotEqual(t, first.header.Get("Location"), newer.header.Get("Location"))
	upper := with("1000-3")
	upper.scan = "NAME"
	require.Equal(t, newer.header.Get("Location"), h.upload(upper).header.Get("Location"), "names are without case")

	stats, err := h.Stats()
	require.NoError(t, err)
	require.Equal(t, []uint64{7, 3, 2, 3}, []uint64{stats.UploadsStarted, stats.UploadsAccepted, stats.UploadsRefused, stats.ScansSucceeded})
	require.Equal(t, map[string]uint64{"name": 2, "another name": 1}, stats.ScansByName)
	require.Equal(t, stats.ScansByName, stats.UploadsByName)
}

// TestAttemptsSurviveDeletion: an upload that was on its way while its scan was deleted must not bring it back.
func TestAttemptsSurviveDeletion(t *testing.T) {
	h := open(t, t.TempDir())
	u := upload{project: "p", version: "v", scan: "name", attempt: "5-5", document: document("pkg:npm/a@1.0.0")}
	h.scan(u)
	location, _ := h.location("name")
	require.Equal(t, http.StatusNoContent, h.call(http.MethodDelete, location, "").status)
	for _, attempt := range []string{"5-5", "5-4"} {
		u.attempt = attempt
		require.Equal(t, http.StatusConflict, h.upload(u).status)
	}
	u.attempt = "5-6"
	h.scan(u)
}

// TestSeenAttemptRefusesOlderInFlight: two uploads of one name wait for acceptance; only the newer one becomes a scan.
func TestSeenAttemptRefusesOlderInFlight(t *testing.T) {
	h := open(t, t.TempDir(), func(o *builtin.Options) { o.AcceptDelay = time.Minute })
	u := upload{project: "p", version: "v", scan: "name", document: document("pkg:npm/a@1.0.0")}
	answers := map[string]answer{}
	var lock sync.Mutex
	var wait sync.WaitGroup
	for i, attempt := range []string{"1-1", "1-2"} {
		u.attempt = attempt
		request := u.request(h)
		wait.Go(func() {
			a := h.do(request)
			lock.Lock()
			defer lock.Unlock()
			answers[attempt] = a
		})
		require.Eventually(t, func() bool { return h.clock.Waits(time.Minute) == i+1 }, patience, time.Millisecond)
	}
	h.clock.Advance(time.Minute)
	wait.Wait()
	require.Equal(t, http.StatusConflict, answers["1-1"].status)
	require.Equal(t, http.StatusCreated, answers["1-2"].status)
}

// TestSameAttemptTwiceAtOnce: the sender lost the answer and sends again while the first request still waits.
func TestSameAttemptTwiceAtOnce(t *testing.T) {
	h := open(t, t.TempDir(), func(o *builtin.Options) { o.AcceptDelay = time.Minute })
	u := upload{project: "p", version: "v", scan: "name", attempt: "1-1", document: document("pkg:npm/a@1.0.0")}
	places := make(chan string, 2)
	for i := range 2 {
		request := u.request(h)
		go func() { places <- h.do(request).header.Get("Location") }()
		require.Eventually(t, func() bool { return h.clock.Waits(time.Minute) == i+1 }, patience, time.Millisecond)
	}
	h.clock.Advance(time.Minute)
	require.Equal(t, <-places, <-places)
	stats, err := h.Stats()
	require.NoError(t, err)
	require.Equal(t, uint64(1), stats.UploadsAccepted)
}

func TestBadUploads(t *testing.T) {
	h := open(t, t.TempDir(), func(o *builtin.Options) { o.MaxDocument = 10_000 })
	good := document("pkg:npm/a@1.0.0")
	for name, row := range map[string]struct {
		upload  upload
		status  int
		message string
	}{
		"empty":              {upload{document: ""}, 400, "it is empty"},
		"not JSON":           {upload{document: "<bom/>"}, 400, "not a CycloneDX document in JSON"},
		"not CycloneDX":      {upload{document: `{"spdxVersion":"SPDX-2.3"}`}, 400, "only CycloneDX"},
		"too old":            {upload{document: `{"bomFormat":"CycloneDX","specVersion":"1.2"}`}, 400, "specVersion"},
		"too new":            {upload{document: `{"bomFormat":"CycloneDX","specVersion":"1.8"}`}, 400, "specVersion"},
		"wrong shape":        {upload{document: `{"bomFormat":"CycloneDX","specVersion":"1.6","components":{}}`}, 400, "not valid CycloneDX"},
		"nameless component": {upload{document: `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"library","bom-ref":"x"}]}`}, 400, "no name"},
		"cut off":            {upload{document: good[:len(good)-5]}, 400, "not a CycloneDX document in JSON"},
		"too large":          {upload{document: good + strings.Repeat(" ", 10_000)}, 413, "larger than the 10000 bytes"},
		"far too large":      {upload{document: good + strings.Repeat(" ", 1_000_000)}, 413, "larger than the 10000 bytes"},
		"another type":       {upload{document: good, mediaType: "application/spdx"}, 415, "CycloneDX"},
		"no project":         {upload{document: good, project: "-"}, 400, "projectName is missing"},
		"no version":         {upload{document: good, version: "-"}, 400, "versionName is missing"},
		"long project":       {upload{document: good, project: strings.Repeat("p", 600)}, 400, "projectName has"},
		"odd project":        {upload{document: good, project: "a\xff"}, 400, "not plain UTF-8"},
		"bad attempt":        {upload{document: good, attempt: "soon"}, 400, "X-Perceptor-Attempt"},
	} {
		t.Run(name, func(t *testing.T) {
			u := row.upload
			u.scan = "scan"
			for _, field := range []*string{&u.project, &u.version} {
				*field = strings.TrimPrefix(map[bool]string{true: "name", false: *field}[*field == ""], "-")
			}
			a := h.upload(u)
			require.Equal(t, row.status, a.status, "%s", a.body)
			require.Contains(t, a.text("errorMessage"), row.message)
		})
	}
	a := h.call(http.MethodPost, "/api/scan/data", good)
	require.Equal(t, http.StatusUnsupportedMediaType, a.status)
	a = h.call(http.MethodPost, "/api/scan/data", "--x\r\nContent-Disposition: form-data; name=\"projectName\"\r\n\r\ncut of", "Content-Type", "multipart/form-data; boundary=x")
	require.Equal(t, http.StatusBadRequest, a.status)
	require.Contains(t, a.text("errorMessage"), "multipart form cannot be read")
	stats, err := h.Stats()
	require.NoError(t, err)
	require.Equal(t, uint64(18), stats.UploadsRefused)
	require.Equal(t, stats.UploadsRefused, stats.UploadsStarted)
	require.Contains(t, h.get("/api/codelocations").text("totalCount"), "0", "a refused document leaves nothing behind")
	require.Contains(t, h.get("/api/projects").text("totalCount"), "0")
}

// TestSenderGoneIsNoScan kills the sender at two points: in the middle of the document and while it waits for acceptance.
func TestSenderGoneIsNoScan(t *testing.T) {
	t.Run("in the document", func(t *testing.T) {
		h := open(t, t.TempDir())
		config := h.client.Transport.(*http.Transport).TLSClientConfig
		connection, err := tls.Dial("tcp", strings.TrimPrefix(h.base, "https://"), config)
		require.NoError(t, err)
		body := "--x\r\nContent-Disposition: form-data; name=\"codeLocationName\"\r\n\r\nname\r\n--x\r\n" +
			"Content-Disposition: form-data; name=\"file\"\r\nContent-Type: application/vnd.cyclonedx\r\n\r\n" + document("pkg:npm/a@1.0.0")
		_, err = fmt.Fprintf(connection, "POST /api/scan/data HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer %s\r\nX-CSRF-TOKEN: %s\r\n"+
			"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: %d\r\n\r\n%s", h.bearer, h.csrf, len(body)+100, body)
		require.NoError(t, err)
		require.Eventually(t, func() bool { s, err := h.Stats(); return err == nil && s.UploadsStarted == 1 }, patience, time.Millisecond)
		require.NoError(t, connection.Close())
		h.requireNothingAccepted()
	})
	for name, http2 := range map[string]bool{"while it waits": false, "while it waits, HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			h := open(t, t.TempDir(), func(o *builtin.Options) { o.AcceptDelay = time.Minute })
			transport := h.client.Transport.(*http.Transport).Clone()
			transport.ForceAttemptHTTP2 = http2
			defer transport.CloseIdleConnections()
			ctx, cancel := context.WithCancel(t.Context())
			request := upload{project: "p", version: "v", scan: "name", document: document("pkg:npm/a@1.0.0")}.request(h).WithContext(ctx)
			ended := make(chan error, 1)
			go func() {
				answer, err := transport.RoundTrip(request)
				if err == nil {
					_ = answer.Body.Close()
				}
				ended <- err
			}()
			require.Eventually(t, func() bool { return h.clock.Waits(time.Minute) == 1 }, patience, time.Millisecond)
			cancel()
			require.ErrorIs(t, <-ended, context.Canceled)
			h.requireNothingAccepted()
			h.clock.Advance(time.Minute)
			h.requireNothingAccepted()
		})
	}
}

func (h *testHub) requireNothingAccepted() {
	h.t.Helper()
	require.Eventually(h.t, func() bool { return strings.Contains(h.log.String(), "upload ended early") }, patience, time.Millisecond)
	stats, err := h.Stats()
	require.NoError(h.t, err)
	require.Equal(h.t, []uint64{1, 0, 0, 0}, []uint64{stats.UploadsStarted, stats.UploadsAccepted, stats.UploadsRefused, stats.InProgress})
}

// TestStoppingHubAcceptsNothing: an upload that waits is asked to come back, and a stop does not wait for it.
func TestStoppingHubAcceptsNothing(t *testing.T) {
	h := open(t, t.TempDir(), func(o *builtin.Options) { o.AcceptDelay = time.Hour })
	request := upload{project: "p", version: "v", scan: "name", document: document("pkg:npm/a@1.0.0")}.request(h)
	replied := make(chan answer, 1)
	go func() { replied <- h.do(request) }()
	require.Eventually(t, func() bool { return h.clock.Waits(time.Hour) == 1 }, patience, time.Millisecond)
	h.stop()
	a := <-replied
	require.Equal(t, http.StatusServiceUnavailable, a.status)
	require.Equal(t, "1", a.header.Get("Retry-After"))
}

// TestExpectContinue: a refusal that the headers alone earn comes before the document is sent.
func TestExpectContinue(t *testing.T) {
	h := open(t, t.TempDir())
	connection, err := tls.Dial("tcp", strings.TrimPrefix(h.base, "https://"), h.client.Transport.(*http.Transport).TLSClientConfig)
	require.NoError(t, err)
	defer func() { _ = connection.Close() }()
	_, err = fmt.Fprint(connection, "POST /api/scan/data HTTP/1.1\r\nHost: hub\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n")
	require.NoError(t, err)
	reply, err := http.ReadResponse(bufio.NewReader(connection), nil)
	require.NoError(t, err)
	defer func() { _ = reply.Body.Close() }()
	require.Equal(t, http.StatusUnauthorized, reply.StatusCode)
}

func TestNameOfAScanWithoutOne(t *testing.T) {
	h := open(t, t.TempDir())
	u := upload{project: "team/app", version: "v1", document: document("pkg:npm/a@1.0.0")}
	h.scan(u)
	_, first := h.location("team/app/v1")
	named := strings.Replace(document("pkg:npm/a@1.0.0"), `{`, `{"metadata":{"component":{"type":"container","name":"my app"}},`, 1)
	h.scan(upload{project: "team/app", version: "v2", document: named})
	h.location("my-app%20cyclonedx/sbom")

	// Without a name the document's own one decides, and what is mapped elsewhere is not taken away.
	a := h.upload(upload{project: "team/app", version: "v3", document: named})
	require.Equal(t, http.StatusConflict, a.status)
	require.Contains(t, a.text("errorMessage"), "mapped to another project version")
	require.Contains(t, first, "/versions/")
}
