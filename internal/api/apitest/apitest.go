package apitest

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/internal/api/access"
)

// The tokens of the tests: of cluster default, of every cluster, and of cluster prod.
const (
	PerceiverToken     = "perceiver-of-default-"
	ReaderToken        = "reader-of-default-----"
	OperatorToken      = "operator-of-everything"
	ProdPerceiverToken = "perceiver-of-prod-----"
	ProdReaderToken    = "reader-of-prod--------"
	ProdOperatorToken  = "operator-of-prod------"
	AllReaderToken     = "reader-of-everything--"
	ScannerToken       = "scanner-one-----------"
	OtherScannerToken  = "scanner-two-----------"
)

const tokenFile = `
tokens:
  - {scope: perceiver, token: ` + PerceiverToken + `}
  - {scope: reader, token: ` + ReaderToken + `}
  - {name: olga, scope: operator, cluster: "*", token: ` + OperatorToken + `}
  - {scope: perceiver, cluster: prod, token: ` + ProdPerceiverToken + `}
  - {scope: reader, cluster: prod, token: ` + ProdReaderToken + `}
  - {name: petra, scope: operator, cluster: prod, token: ` + ProdOperatorToken + `}
  - {name: board, scope: reader, cluster: "*", token: ` + AllReaderToken + `}
  - {name: scanner-1, scope: scanner, cluster: "*", token: ` + ScannerToken + `}
  - {name: scanner-2, scope: scanner, cluster: "*", token: ` + OtherScannerToken + `}
`

// Served is an API under test.
type Served struct {
	*Memory
	server *api.Server
	// Log is what the API has logged.
	Log *LockedText
}

// Serve makes a server of APIs with a backend in memory.
func Serve(t testing.TB, apis ...api.API) *Served {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens.yaml")
	require.NoError(t, os.WriteFile(path, []byte(tokenFile), 0o600))
	s := &Served{Memory: NewMemory(), Log: &LockedText{}}
	log := s.Logger()
	tokens, err := access.OpenTokens(path, log)
	require.NoError(t, err)
	s.server = api.New(api.Options{Backend: s.Memory, Tokens: tokens, HubLogin: s.HubLogin, Version: "test", Log: log}, apis...)
	return s
}

// Logger writes to Log.
func (s *Served) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(s.Log, nil)) }

// Patterns are the patterns of all endpoints.
func (s *Served) Patterns() []string { return s.server.Mux().Patterns() }

// Answer is the answer to one request.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// As sends a request with a token, no token when it is empty.
func (s *Served) As(token, method, path, body string) Answer {
	return s.Send(token, method, path, strings.NewReader(body))
}

// Send is As with any reader as the body.
func (s *Served) Send(token, method, path string, body io.Reader) Answer {
	request := httptest.NewRequest(method, path, body)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	recorder := httptest.NewRecorder()
	s.server.ServeHTTP(recorder, request)
	return Answer{recorder.Code, recorder.Header(), recorder.Body.String()}
}

// Into reads the body as JSON.
func (a Answer) Into(t testing.TB, value any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(a.Body), value), a.Body)
}

// Problem is the text of an error of /api/v1.
func (a Answer) Problem(t testing.TB) string {
	t.Helper()
	require.Equal(t, "application/problem+json", a.Header.Get("Content-Type"), a.Body)
	var p struct {
		Status int
		Title  string
		Detail string
		Errors []struct{ Message, Location string }
	}
	a.Into(t, &p)
	require.Equal(t, a.Status, p.Status)
	require.Equal(t, http.StatusText(a.Status), p.Title)
	for _, each := range p.Errors {
		p.Detail += "; " + each.Location + ": " + each.Message
	}
	return p.Detail
}

// LockedText is a log that may be written and read at the same time.
type LockedText struct {
	lock sync.Mutex
	text bytes.Buffer
}

// Write adds to the log.
func (l *LockedText) Write(p []byte) (int, error) {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.text.Write(p)
}

// String is the whole log.
func (l *LockedText) String() string {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.text.String()
}
