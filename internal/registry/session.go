package registry

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// session carries the requests to one repository with one login. Most registries say at their greeting how they want to be
// logged in to. Some greet anyone and ask for the login only at the repository, or in another way there: then the session is
// opened again by what the repository asks.
type session struct {
	repo  name.Repository
	auth  authn.Authenticator
	agent http.RoundTripper
	// asked is the scheme that the greeting asked for, in lower case; empty where it asked for none.
	asked string

	lock  sync.Mutex
	inner http.RoundTripper
	// again says that the session was opened by what the repository asked.
	again bool
}

func newSession(ctx context.Context, repo name.Repository, auth authn.Authenticator, agent http.RoundTripper) (*session, error) {
	s := &session{repo: repo, auth: auth, agent: agent}
	inner, err := s.open(ctx, notingTripper{agent, repo.RegistryStr(), func(scheme string) { s.asked = scheme }})
	s.inner = inner
	return s, err
}

func (s *session) open(ctx context.Context, agent http.RoundTripper) (http.RoundTripper, error) {
	return transport.NewWithContext(ctx, s.repo.Registry, s.auth, agent, []string{s.repo.Scope(transport.PullScope)})
}

// RoundTrip implements http.RoundTripper.
func (s *session) RoundTrip(req *http.Request) (*http.Response, error) {
	s.lock.Lock()
	inner, again := s.inner, s.again
	s.lock.Unlock()
	plain := req.Clone(req.Context())
	resp, err := inner.RoundTrip(req)
	if err != nil || again || resp.StatusCode != http.StatusUnauthorized || req.URL.Host != s.repo.RegistryStr() {
		return resp, err
	}
	if scheme := challengeScheme(resp.Header); scheme == "" || scheme == s.asked {
		return resp, nil
	}
	opened, err := s.reopen(req, resp)
	if err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	_ = resp.Body.Close()
	return opened.RoundTrip(plain)
}

// reopen opens the session by the challenge of an answer. Of several requests that are refused at one time, one does it.
func (s *session) reopen(req *http.Request, refusal *http.Response) (http.RoundTripper, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.again {
		return s.inner, nil
	}
	opened, err := s.open(req.Context(), greetingTripper{s.agent, req.URL.Scheme, s.repo.RegistryStr(), refusal.Header.Values("WWW-Authenticate")})
	if err != nil {
		return nil, err
	}
	s.inner, s.again = opened, true
	return opened, nil
}

// challengeScheme is the first way to log in that an answer asks for and that is known here, in lower case; empty without one.
func challengeScheme(header http.Header) string {
	for _, challenge := range header.Values("WWW-Authenticate") {
		scheme, _, _ := strings.Cut(strings.TrimSpace(challenge), " ")
		if scheme = strings.ToLower(scheme); scheme == "basic" || scheme == "bearer" {
			return scheme
		}
	}
	return ""
}

func isGreeting(req *http.Request, host string) bool {
	return req.Method == http.MethodGet && req.URL.Host == host && req.URL.Path == "/v2/"
}

// notingTripper notes what the greeting of a registry asks for.
type notingTripper struct {
	http.RoundTripper

	host string
	note func(scheme string)
}

func (n notingTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := n.RoundTripper.RoundTrip(req)
	if err == nil && isGreeting(req, n.host) {
		n.note(challengeScheme(resp.Header))
	}
	return resp, err
}

// errOtherScheme is a greeting that is not sent, since the registry is known to speak another way.
var errOtherScheme = errors.New("the registry is not spoken to in this way")

// greetingTripper answers the greeting with the challenges of a repository.
type greetingTripper struct {
	http.RoundTripper

	scheme, host string
	challenges   []string
}

func (g greetingTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	if !isGreeting(req, g.host) {
		return g.RoundTripper.RoundTrip(req)
	}
	if req.URL.Scheme != g.scheme {
		return nil, errOtherScheme
	}
	return &http.Response{
		StatusCode: http.StatusUnauthorized, Header: http.Header{"Www-Authenticate": g.challenges}, Body: http.NoBody, Request: req,
	}, nil
}
