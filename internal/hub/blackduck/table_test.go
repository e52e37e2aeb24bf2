package blackduck_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/blackduck"
	"github.com/perceptor/perceptor/model"
)

// TestTable pins the whole table: what is shown to people and what decides about retries changes only on purpose.
func TestTable(t *testing.T) {
	var text strings.Builder
	for _, row := range blackduck.Table() {
		when := row.Symptom
		if when == "" {
			when = fmt.Sprintf("%d", row.Low)
			if row.High != row.Low {
				when += fmt.Sprintf("-%d", row.High)
			}
		}
		fmt.Fprintf(&text, "%-18s | %-12s | %s\n", when, row.Class, row.Says)
	}
	want, err := os.ReadFile(filepath.Join("testdata", "table.txt"))
	require.NoError(t, err)
	require.Equal(t, string(want), text.String())
}

// answer is a reply a hub may give to a read.
func answer(status int, contentType, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		}
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body)) // a client that stops reading is a case here
	}
}

const (
	jsonType  = "application/json;charset=UTF-8"
	htmlType  = "text/html; charset=utf-8"
	sorryText = `{"errorMessage": "not today", "errorCode": "{x}"}`
	loginForm = `<!DOCTYPE html><html><form action="/j_spring_security_check"><input type="password"></form></html>`
)

// failureCase is one way a hub answers wrongly, and what the driver must make of it.
type failureCase struct {
	name    string
	serve   http.HandlerFunc
	symptom string
	status  int
	class   model.FailureClass
	retry   time.Duration
	says    string
}

func statusCases() []failureCase {
	classes := map[int]model.FailureClass{
		400: model.Invalid, 402: model.Unsupported, 403: model.Unauthorized, 404: model.NotFound, 405: model.Unsupported,
		406: model.Unsupported, 407: model.Unauthorized, 408: model.Transient, 409: model.Invalid, 410: model.Unsupported,
		411: model.Invalid, 412: model.Invalid, 413: model.Invalid, 415: model.Unsupported, 418: model.Invalid, 422: model.Invalid,
		425: model.Transient, 429: model.Throttled, 500: model.Transient, 501: model.Unsupported, 502: model.Transient,
		503: model.Transient, 504: model.Transient, 507: model.OutOfSpace, 599: model.Transient, 304: model.Invalid, 799: model.Invalid,
	}
	cases := make([]failureCase, 0, len(classes))
	for status, class := range classes {
		body, says := sorryText, `(the hub says: "not today")`
		if status == http.StatusNotModified {
			body, says = "", ": the hub redirects to nowhere" // this status has no body
		}
		cases = append(cases, failureCase{name: fmt.Sprint(status), serve: answer(status, jsonType, body), status: status, class: class, says: says})
	}
	return cases
}

func retryCases() []failureCase {
	busy := func(name, value string, want time.Duration) failureCase {
		return failureCase{
			name: "429 " + name, serve: answer(429, jsonType, "", "Retry-After", value, "Date", "Mon, 03 Nov 2025 10:00:00 GMT"),
			status: 429, class: model.Throttled, retry: want, says: "429 Too Many Requests: the hub is overloaded and refuses work for now",
		}
	}
	return []failureCase{
		busy("seconds", "30", 30*time.Second),
		busy("date", "Mon, 03 Nov 2025 10:02:00 GMT", 2*time.Minute),
		busy("date in the past", "Mon, 03 Nov 2025 09:00:00 GMT", 0),
		busy("huge", "86400", time.Hour),
		busy("beyond any number", "99999999999999999999999", time.Hour),
		busy("far date", "Mon, 03 Nov 2031 10:00:00 GMT", time.Hour),
		busy("zero", "0", 0),
		busy("nonsense", "soon", 0),
		busy("negative", "-5", 0),
		{
			name: "503 with Retry-After", serve: answer(503, htmlType, "<html>restarting</html>", "Retry-After", "7"),
			status: 503, class: model.Transient, retry: 7 * time.Second, says: "; it asks to wait 7s",
		},
	}
}

func contentCases() []failureCase {
	list := `{"totalCount": 1, "items": [{}]}`
	return []failureCase{
		{name: "empty", serve: answer(200, jsonType, ""), symptom: "empty body", class: model.Transient},
		{name: "only space", serve: answer(200, jsonType, " \n"), symptom: "empty body", class: model.Transient},
		{name: "no content", serve: answer(204, "", ""), symptom: "empty body", class: model.Transient},
		{name: "html", serve: answer(200, htmlType, "<html>welcome</html>"), symptom: "html", class: model.Transient},
		{name: "html called json", serve: answer(200, jsonType, "<html>welcome</html>"), symptom: "html", class: model.Transient},
		{name: "login page", serve: answer(200, htmlType, loginForm), symptom: "login page", class: model.Unauthorized},
		{name: "other type", serve: answer(200, "text/plain", list), symptom: "not json", class: model.Transient, says: `its type is "text/plain"`},
		{name: "no json", serve: answer(200, jsonType, "{]"), symptom: "not json", class: model.Transient},
		{name: "cut off in json", serve: answer(200, jsonType, `{"totalCount": 1, "items": [`), symptom: "cut off", class: model.Transient},
		{
			name: "cut off in http", serve: answer(200, jsonType, `{"totalCount"`, "Content-Length", "500"),
			symptom: "cut off", class: model.Transient,
		},
		{name: "null", serve: answer(200, jsonType, "null"), symptom: "wrong shape", class: model.Invalid, says: "no totalCount"},
		{name: "empty object", serve: answer(200, jsonType, "{}"), symptom: "wrong shape", class: model.Invalid, says: "no totalCount"},
		{name: "array", serve: answer(200, jsonType, "[]"), symptom: "wrong shape", class: model.Invalid, says: "got array"},
		{name: "no items", serve: answer(200, jsonType, `{"totalCount": 0}`), symptom: "wrong shape", class: model.Invalid, says: "no items"},
		{name: "negative total", serve: answer(200, jsonType, `{"totalCount": -1, "items": []}`), symptom: "wrong shape", class: model.Invalid},
		{
			name: "item without fields", serve: answer(200, jsonType, list),
			symptom: "wrong shape", class: model.Invalid, says: "item 0: a code location without a name",
		},
		{
			name: "text for a number", serve: answer(200, jsonType, `{"totalCount": "secret-text", "items": []}`),
			symptom: "wrong shape", class: model.Invalid, says: `field "totalCount": want int, got string`,
		},
		{
			name: "time that is none", serve: answer(200, jsonType, `{"totalCount": 1, "items": [{"name": "x", "createdAt": "yesterday"}]}`),
			symptom: "wrong shape", class: model.Invalid, says: `"yesterday" is not a time`,
		},
		{
			name:    "link to somewhere",
			serve:   answer(200, jsonType, `{"totalCount": 1, "items": [{"name": "`+sampleName+`", "_meta": {"href": "https://evil.example/steal"}}]}`),
			symptom: "wrong shape", class: model.Invalid, says: "want an address under /api/",
		},
		{name: "too large", serve: tooLarge, symptom: "too large", class: model.Invalid},
		{name: "404 of a proxy in html", serve: answer(404, htmlType, "<html>nginx</html>"), symptom: "foreign 404", status: 404, class: model.Transient},
		{name: "404 of a proxy in text", serve: answer(404, "text/plain", "default backend - 404"), symptom: "foreign 404", status: 404, class: model.Transient},
		{name: "404 of a proxy in json", serve: answer(404, jsonType, `{"message": "no route"}`), symptom: "foreign 404", status: 404, class: model.Transient},
		{name: "404 of no hub", serve: answer(404, "", ""), symptom: "foreign 404", status: 404, class: model.Transient, says: "a proxy answers in its place"},
		{name: "list that stops", serve: answer(200, jsonType, `{"totalCount": 5, "items": []}`), symptom: "pages", class: model.Invalid, says: "0 of 5 rows"},
	}
}

func redirectCases() []failureCase {
	return []failureCase{
		{name: "to a login page", serve: answer(302, "", "", "Location", "/saml/login"), symptom: "login page", status: 302, class: model.Unauthorized},
		{
			name: "to an identity provider", serve: answer(303, "", "", "Location", "https://sso.example/x"),
			symptom: "login page", status: 303, class: model.Unauthorized,
		},
		{
			name: "to another host", serve: answer(308, "", "", "Location", "https://evil.example/api/codelocations?x=1"),
			symptom: "redirect elsewhere", status: 308, class: model.Invalid, says: "to https://evil.example",
		},
		{name: "to plain http", serve: toPlainHTTP, symptom: "redirect elsewhere", status: 308, class: model.Invalid, says: "to http://127.0.0.1"},
		{name: "in a circle", serve: answer(308, "", "", "Location", "/api/codelocations"), symptom: "redirect loop", class: model.Invalid},
		{name: "to nowhere", serve: answer(301, "", ""), status: 301, class: model.Invalid},
	}
}

func tooLarge(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", jsonType)
	block := []byte(strings.Repeat(" ", 1<<20))
	for range 40 {
		if _, err := w.Write(block); err != nil {
			return // the driver stopped reading, as it should
		}
	}
}

func toPlainHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Location", "http://"+r.Host+r.URL.Path)
	w.WriteHeader(http.StatusPermanentRedirect)
}

// TestFailures gives each bad answer to a search and looks at the error's class, wait and words.
func TestFailures(t *testing.T) {
	var cases []failureCase
	for _, some := range [][]failureCase{statusCases(), retryCases(), contentCases(), redirectCases()} {
		cases = append(cases, some...)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			hub := newFakeHub(t, c.serve)
			_, err := newClient(t, tokenOptions(t, hub.Server)).FindScan(t.Context(), sampleName)
			requireFailure(t, err, c)
		})
	}
}

func requireFailure(t *testing.T, err error, want failureCase) {
	t.Helper()
	var e *blackduck.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, want.class, e.FailureClass(), err)
	require.Equal(t, want.retry, e.RetryAfter(), err)
	require.Equal(t, want.symptom, blackduck.SymptomOf(e), err)
	require.Equal(t, want.status, e.Status, err)
	require.Contains(t, err.Error(), want.says)
	require.Contains(t, err.Error(), "hub prod: ")
	for _, secret := range []string{testToken, testPassword, "bearer-", "csrf"} {
		require.NotContains(t, err.Error(), secret)
	}
	require.NotContains(t, err.Error(), "q=name", "the query is left out")
}

// TestEveryRowIsReached keeps the table free of rows that nothing can bring about.
func TestEveryRowIsReached(t *testing.T) {
	elsewhereTested := map[string]string{
		"network": "TestConnection", "timeout": "TestNoAnswer", "cancelled": "TestNoAnswer", "certificate": "TestConnection",
		"no TLS": "TestConnection", "limiter": "TestLimiter", "secret": "TestSecretFiles", "argument": "TestArguments", "degraded": "TestDegraded",
	}
	reached := map[string]bool{}
	statuses := []int{401, 201} // TestLoginOnce, TestPasswordReplies
	for _, some := range [][]failureCase{statusCases(), retryCases(), contentCases(), redirectCases()} {
		for _, c := range some {
			reached[c.symptom] = true
			statuses = append(statuses, c.status)
		}
	}
	for _, row := range blackduck.Table() {
		if row.Symptom != "" {
			require.True(t, reached[row.Symptom] || elsewhereTested[row.Symptom] != "", "no test for %q", row.Symptom)
			continue
		}
		hit := false
		for _, status := range statuses {
			hit = hit || row.Low <= status && status <= row.High
		}
		require.True(t, hit, "no test for status %d", row.Low)
	}
}

func TestRetryAfterWithoutDate(t *testing.T) {
	now := time.Date(2025, 11, 3, 10, 0, 0, 0, time.UTC)
	header := http.Header{"Retry-After": {"Mon, 03 Nov 2025 10:00:20 GMT"}}
	require.Equal(t, 20*time.Second, blackduck.RetryAfter(header, now), "our own clock stands in")
	require.Zero(t, blackduck.RetryAfter(http.Header{}, now))
}

// TestErrorReads pins whole sentences: these are read at night.
func TestErrorReads(t *testing.T) {
	hub := newFakeHub(t, answer(429, jsonType, `{"errorMessage": "Too many\n\u0007scans"}`, "Retry-After", "90"))
	_, err := newClient(t, tokenOptions(t, hub.Server)).FindScan(t.Context(), sampleName)
	require.EqualError(t, err, `hub prod: find scan: GET /api/codelocations: 429 Too Many Requests: `+
		`the hub is overloaded and refuses work for now; it asks to wait 1m30s (the hub says: "Too many scans")`)
	var e *blackduck.Error
	require.True(t, errors.As(err, &e))
	require.Equal(t, "/api/codelocations", e.Path)
	require.Equal(t, http.MethodGet, e.Method)
	require.Equal(t, "find scan", e.Op)
	require.Equal(t, "prod", e.Hub)
}
