package blackduck_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/blackduck"
	"github.com/perceptor/perceptor/model"
)

// replyKinds are the replies the driver parses.
var replyKinds = []string{
	"code locations", "code location", "scan summaries", "scan summary", "bom status", "risk profile", "policy status", "findings",
	"notifications", "login", "version", "readiness",
}

// FuzzReplies feeds anything to every parser: it answers, or gives one of the two classes a body can have.
func FuzzReplies(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(exchangeFolder, "*.txt"))
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(f, err)
		for part := range strings.SplitSeq(string(content), "\n\n") {
			if _, body, found := strings.Cut(part, "\n{"); found {
				f.Add([]byte("{" + body))
			}
		}
	}
	for _, text := range []string{
		"", "null", "[]", "{}", "<html>", `{"items":[null],"totalCount":1}`, `{"totalCount":1e99,"items":[]}`, "\xff",
		`{"status":"` + strings.Repeat("x", 2000) + `"}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, kind := range replyKinds {
			class, known := blackduck.Parse(kind, body)
			require.True(t, known, kind)
			require.Contains(t, []model.FailureClass{"", model.Transient, model.Invalid}, class, kind)
			if class == "" {
				require.True(t, json.Valid(body), "%s took what is no JSON", kind)
			}
		}
		_, detail, _ := blackduck.StateOf(body)
		requireTame(t, detail)
		requireTame(t, blackduck.ErrorMessage(body))
	})
}

// requireTame checks a text that came from a hub and goes before people.
func requireTame(t *testing.T, text string) {
	t.Helper()
	require.LessOrEqual(t, len(text), 303)
	require.True(t, utf8.ValidString(text))
	require.NotContains(t, text, "\n")
	require.NotContains(t, text, "\x1b")
}

// FuzzLinks: whatever link a hub writes, what comes out is on the configured host, or nothing.
func FuzzLinks(f *testing.F) {
	for _, link := range []string{
		"", "/api/x", "https://evil.example/api/x", "//evil.example/api/x", "/api/../x", "https://hub.example:8443@evil.example/api/",
		"/api/%2e%2e/%2e%2e/x", "http:/api/x", "/api/x?y#z", "\\\\evil\\api",
	} {
		f.Add(link)
	}
	f.Fuzz(func(t *testing.T, link string) {
		got, err := blackduck.Canonical("https://hub.example:8443/hub", link)
		if err != nil {
			return
		}
		require.True(t, strings.HasPrefix(got, "https://hub.example:8443/hub/api/"), got)
		again, err := blackduck.Canonical("https://hub.example:8443/hub", got)
		require.NoError(t, err)
		require.Equal(t, got, again, "canonical is stable")
	})
}

// FuzzRetryAfter: nothing a hub asks for is negative or longer than an hour.
func FuzzRetryAfter(f *testing.F) {
	for _, text := range []string{"", "30", "-1", "1e9", "Mon, 03 Nov 2025 10:02:00 GMT", "99999999999999999999", "１２"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		wait := blackduck.RetryAfter(http.Header{"Retry-After": {text}}, time.Unix(0, 0))
		require.GreaterOrEqual(t, wait, time.Duration(0))
		require.LessOrEqual(t, wait, time.Hour)
	})
}
