package blackduck_test

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/blackduck"
)

// The files in testdata/exchanges are conversations written by hand from what is known of the hub's API: lines with
// ">" are the request, ">>" its body, "<" the answer's status and header, and what follows its body. "=" begins the
// result the driver must give. {{hub}} stands for the hub's address, "include" for another file.

// exchange is one request that must come and the answer to it.
type exchange struct {
	request string
	header  http.Header
	body    string
	status  int
	answer  http.Header
	content string
}

// conversation is a file of them.
type conversation struct {
	exchanges []*exchange
	result    string
}

const exchangeFolder = "testdata/exchanges"

func readConversation(t *testing.T, name string) conversation {
	t.Helper()
	file, err := os.Open(filepath.Join(exchangeFolder, name))
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	var c conversation
	var now *exchange
	inResult := false
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "include "):
			c.exchanges = append(c.exchanges, readConversation(t, strings.TrimPrefix(line, "include ")).exchanges...)
		case strings.HasPrefix(line, ">> "):
			now.body += strings.TrimPrefix(line, ">> ")
		case strings.HasPrefix(line, "> ") && (now == nil || now.status != 0):
			now = &exchange{request: strings.TrimPrefix(line, "> "), header: http.Header{}, answer: http.Header{}}
			c.exchanges = append(c.exchanges, now)
		case strings.HasPrefix(line, "> "):
			addHeader(t, now.header, line)
		case strings.HasPrefix(line, "< ") && now.status == 0:
			now.status, err = strconv.Atoi(strings.TrimPrefix(line, "< "))
			require.NoError(t, err, line)
		case strings.HasPrefix(line, "< "):
			addHeader(t, now.answer, line)
		case strings.HasPrefix(line, "="):
			inResult = true
			c.result += strings.TrimPrefix(line, "=")
		case inResult:
			c.result += line + "\n"
		case now != nil:
			now.content += line + "\n"
		}
	}
	require.NoError(t, lines.Err())
	return c
}

func addHeader(t *testing.T, header http.Header, line string) {
	t.Helper()
	name, value, found := strings.Cut(line[2:], ": ")
	require.True(t, found, "no header in %q", line)
	header.Add(name, value)
}

// player answers a conversation and notes every request that is not the one expected.
type player struct {
	*httptest.Server
	mu    sync.Mutex
	rest  []*exchange
	wrong []string
}

func play(t *testing.T, c conversation) *player {
	t.Helper()
	p := &player{rest: c.exchanges}
	p.Server = httptest.NewTLSServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *player) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	got := r.Method + " " + r.URL.RequestURI()
	if len(p.rest) == 0 {
		p.refuse(w, "after the end of the conversation: %s", got)
		return
	}
	next := p.rest[0]
	p.rest = p.rest[1:]
	if got != next.request {
		p.refuse(w, "want %s\ngot  %s", next.request, got)
		return
	}
	for name, values := range next.header {
		if have := strings.Join(r.Header.Values(name), "|"); have != strings.Join(values, "|") {
			p.refuse(w, "%s: header %s: want %q, got %q", got, name, values, have)
			return
		}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || string(body) != next.body {
		p.refuse(w, "%s: body: want %q, got %q (%v)", got, next.body, body, err)
		return
	}
	if next.content != "" && strings.TrimSpace(next.content) != "" {
		w.Header().Set("Content-Type", "application/json")
	}
	maps.Copy(w.Header(), next.answer)
	w.WriteHeader(next.status)
	if _, err := io.WriteString(w, strings.ReplaceAll(strings.TrimSpace(next.content), "{{hub}}", p.URL)); err != nil {
		p.wrong = append(p.wrong, err.Error())
	}
}

func (p *player) refuse(w http.ResponseWriter, format string, arguments ...any) {
	p.wrong = append(p.wrong, fmt.Sprintf(format, arguments...))
	w.WriteHeader(http.StatusTeapot)
}

// requirePlayed checks that exactly the conversation took place.
func (p *player) requirePlayed(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	require.Empty(t, p.wrong, "requests")
	for _, left := range p.rest {
		require.Fail(t, "request never came", left.request)
	}
}

// secretFile writes a secret as an editor would, with a line end.
func secretFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte(content+"\n"), 0o600))
	return path
}

const (
	testToken    = "token-4711"
	testPassword = "blackduck-0815"
)

// tokenOptions and passwordOptions are the two logins against a test server.
func tokenOptions(t *testing.T, server *httptest.Server) blackduck.Options {
	t.Helper()
	return blackduck.Options{Name: "prod", URL: server.URL, TokenFile: secretFile(t, testToken), Transport: server.Client().Transport}
}

func passwordOptions(t *testing.T, server *httptest.Server) blackduck.Options {
	t.Helper()
	o := tokenOptions(t, server)
	o.TokenFile, o.Username, o.PasswordFile = "", "sysadmin", secretFile(t, testPassword)
	return o
}

func newClient(t *testing.T, o blackduck.Options) *blackduck.Client {
	t.Helper()
	client, err := blackduck.New(o)
	require.NoError(t, err)
	return client
}
