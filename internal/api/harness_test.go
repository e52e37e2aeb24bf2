package api_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/internal/api/access"
)

// The tokens of the tests.
const (
	perceiverToken = "perceiver-of-default-"
	readerToken    = "reader-of-default-----"
	operatorToken  = "operator-of-everything"
	prodToken      = "perceiver-of-prod-----"
	prodReader     = "reader-of-prod--------"
)

const tokenFile = `
tokens:
  - {scope: perceiver, token: ` + perceiverToken + `}
  - {scope: reader, token: ` + readerToken + `}
  - {name: olga, scope: operator, cluster: "*", token: ` + operatorToken + `}
  - {scope: perceiver, cluster: prod, token: ` + prodToken + `}
  - {scope: reader, cluster: prod, token: ` + prodReader + `}
`

// served is an API under test.
type served struct {
	*memory
	server *api.Server
	log    *lockedText
}

func serve(t testing.TB, change ...func(*api.Options)) *served {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens.yaml")
	require.NoError(t, os.WriteFile(path, []byte(tokenFile), 0o600))
	s := &served{memory: newMemory(), log: &lockedText{}}
	log := slog.New(slog.NewTextHandler(s.log, nil))
	tokens, err := access.OpenTokens(path, log)
	require.NoError(t, err)
	o := api.Options{Backend: s.memory, Tokens: tokens, Version: "test", Log: log}
	for _, each := range change {
		each(&o)
	}
	s.server = api.New(o)
	return s
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// as sends a request with a token, no token when it is empty.
func (s *served) as(token, method, path, body string) answer {
	return s.send(token, method, path, strings.NewReader(body))
}

func (s *served) send(token, method, path string, body io.Reader) answer {
	request := httptest.NewRequest(method, path, body)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	recorder := httptest.NewRecorder()
	s.server.ServeHTTP(recorder, request)
	return answer{recorder.Code, recorder.Header(), recorder.Body.String()}
}

func (a answer) into(t testing.TB, value any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(a.body), value), a.body)
}

// problem is what an error of /api/v1 says.
func (a answer) problem(t testing.TB) string {
	t.Helper()
	require.Equal(t, "application/problem+json", a.header.Get("Content-Type"), a.body)
	var p struct {
		Status int
		Title  string
		Detail string
		Errors []struct{ Message, Location string }
	}
	a.into(t, &p)
	require.Equal(t, a.status, p.Status)
	require.Equal(t, http.StatusText(a.status), p.Title)
	for _, each := range p.Errors {
		p.Detail += "; " + each.Location + ": " + each.Message
	}
	return p.Detail
}
