package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/perceptor/perceptor/internal/api/access"
)

// refusal is why a request is not done: a status, and what is wrong and what to do.
type refusal struct {
	status int
	text   string
}

// Error is the text.
func (r *refusal) Error() string { return r.text }

func refuse(status int, format string, args ...any) *refusal {
	return &refusal{status: status, text: fmt.Sprintf(format, args...)}
}

// asRefusal finds the refusal in an error, nil when there is none.
func asRefusal(err error) *refusal {
	r, _ := errors.AsType[*refusal](err)
	return r
}

// headers are those that go with the status.
func (r *refusal) headers(h http.Header) {
	switch r.status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", challenge)
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		h.Set("Retry-After", retryAfter)
	}
}

// writePlain answers as the original did, with one line of text.
func writePlain(w http.ResponseWriter, r *refusal) {
	r.headers(w.Header())
	http.Error(w, r.text, r.status)
}

// writeProblem answers with problem+json.
func writeProblem(w http.ResponseWriter, r *refusal) {
	r.headers(w.Header())
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(r.status)
	_ = json.NewEncoder(w).Encode(huma.ErrorModel{Status: r.status, Title: http.StatusText(r.status), Detail: r.text}) // the client may have gone
}

// writeModern answers with JSON in the form of /api/v1.
func writeModern(w http.ResponseWriter, status int, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // a client that has gone has nobody to be told
	return nil
}

// admit says who sends a request with this Authorization header, if one of the scopes is granted to them.
func (s *Server) admit(header string, scopes []access.Scope) (access.Grant, *refusal) {
	var grant access.Grant
	switch token := access.FromHeader(header); {
	case header == "" && s.options.Anonymous != nil:
		grant = *s.options.Anonymous
	case token == "":
		return grant, refuse(http.StatusUnauthorized, "no token: send the header Authorization: Bearer TOKEN, or write http://any:TOKEN@HOST as the address")
	default:
		var known bool
		if grant, known = s.options.Tokens.Find(token); !known {
			return grant, refuse(http.StatusUnauthorized, "the token is not known here")
		}
	}
	if !grant.May(scopes...) {
		return grant, refuse(http.StatusForbidden, "a %s may not do that; it takes a token with the scope %s", grant.Scope, oneOf(scopes))
	}
	return grant, nil
}

// challenge is sent with 401, as HTTP demands.
const challenge = `Bearer realm="perceptor"`

func oneOf(scopes []access.Scope) string {
	names := make([]string, len(scopes))
	for i, each := range scopes {
		names[i] = string(each)
	}
	return strings.Join(names, " or ")
}
