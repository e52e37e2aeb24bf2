package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// saidLimit is how many characters of a registry's own words go into the log.
const saidLimit = 200

// source is one repository, opened with one credential.
type source struct {
	repo name.Repository
	http *http.Client
	pace pace
	gate *gate
	log  *slog.Logger
	// login.access tells apart what different credentials may see.
	login login
}

// withLogins does something with a repository, with each login in turn until one is good for it. The failure is the one that
// says most, and never that of trying without a login where there is one.
func (c *Client) withLogins(ctx context.Context, repo name.Repository, credential string, do func(*source) error) error {
	logins, err := c.logins(ctx, repo, credential)
	if err != nil {
		return err
	}
	var kept error
	for i, login := range logins {
		src, err := c.open(ctx, repo, login, fmt.Sprintf("%s %s %d", repo.Name(), credential, i))
		if err == nil {
			err = do(src)
		}
		if err == nil {
			return nil
		}
		anyone := i == len(logins)-1
		if kept == nil || !anyone && weight(table[kindOf(err)].class) > weight(table[kindOf(kept)].class) {
			kept = err
		}
		if ctx.Err() != nil || anyone || !helpsAnotherLogin(kindOf(err), i+1 == len(logins)-1) {
			return kept
		}
	}
	return kept
}

// helpsAnotherLogin reports whether a failure may be one of the login alone. Registries are known to hide a repository from
// those who may not read it, and to count their limits by login.
func helpsAnotherLogin(k kind, onlyAnyoneLeft bool) bool {
	return k == unauthorized || !onlyAnyoneLeft && (k == absent || k == throttled)
}

// open logs in to the registry of a repository, in the way that registry asks for.
func (c *Client) open(ctx context.Context, repo name.Repository, auth authn.Authenticator, access string) (*source, error) {
	s := &source{repo: repo, pace: c.pace, gate: c.wire.gate, log: c.log, login: login{
		access: access, registry: canonicalHost(repo.RegistryStr()), realms: c.options.Hosts[repo.RegistryStr()].Realms,
	}}
	ctx = withLogin(ctx, s.login)
	err := s.retry(ctx, func() error {
		opened, err := newSession(ctx, repo, auth, transport.NewUserAgent(c.wire, "perceptor"))
		if err != nil {
			return s.loginError(ctx, err)
		}
		s.http = &http.Client{Transport: opened, CheckRedirect: c.wire.checkRedirect}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	return s, nil
}

// loginError says what is wrong before anything was asked for. A registry on loopback is tried with TLS and without,
// and the library's error then holds both outcomes, so the words are found here, while both are at hand.
func (s *source) loginError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	k := kindOf(err)
	if f, ok := errors.AsType[*fault](err); ok && f.kind == k {
		return f
	}
	if answer, ok := errors.AsType[*transport.Error](err); ok && answered(answer.StatusCode, answer.Errors) == k {
		s.logAnswer("greeting", answer)
		f := answerFault(answer, "greeting")
		if k == absent {
			f.reason = "the host does not answer like a registry; is the name right?"
		}
		return f
	}
	if k == other {
		// The library quotes what the registry sent, a token among it.
		s.log.Info("registry could not be logged in to", "host", s.repo.RegistryStr(), "error", clean(strings.Split(err.Error(), "\n")[0]))
		return &fault{kind: k, reason: connectionReason(k, s.repo.RegistryStr(), err)}
	}
	return &fault{kind: k, reason: connectionReason(k, s.repo.RegistryStr(), err), err: withoutAddress(err)}
}

// logAnswer logs a registry's own words. They go nowhere else: a foreign host chooses them, and it may be one that repeats what
// it knows of the inside.
func (s *source) logAnswer(what string, answer *transport.Error) {
	words := ""
	if len(answer.Errors) > 0 {
		words = clean(answer.Errors[0].Message)
	}
	s.log.Info("registry refused a request", "host", s.repo.RegistryStr(), "asked", what, "status", answer.StatusCode, "said", words)
}

// retry runs f until it succeeds, its failure is one the table gives up on, or the tries are used up.
func (s *source) retry(ctx context.Context, f func() error) error {
	for try := 1; ; try++ {
		err := f()
		if err == nil {
			return nil
		}
		if !s.mayRetry(ctx, err, try) {
			return s.asked(err)
		}
		if err := sleep(ctx, s.pace.delay(try)); err != nil {
			return err
		}
	}
}

func (s *source) mayRetry(ctx context.Context, err error, try int) bool {
	return ctx.Err() == nil && try < s.pace.tries && table[kindOf(err)].again && s.left(err) <= s.pace.patience
}

// left is how long the registry, or its token server, still wants to be left alone.
func (s *source) left(err error) time.Duration {
	if f, ok := errors.AsType[*fault](err); ok && f.retry > 0 {
		return f.retry
	}
	return max(0, s.gate.left(s.repo.RegistryStr(), s.login.access))
}

// asked adds to a failure how long the registry wants to be left alone.
func (s *source) asked(err error) error {
	k, left := kindOf(err), s.left(err)
	switch {
	case k == throttled:
		return &fault{kind: k, reason: throttledReason(left), status: statusOf(err), retry: left, err: withoutAddress(err)}
	case k == serverError && left > 0:
		reason := fmt.Sprintf("the registry answered %d and asks to wait %s", statusOf(err), left.Round(time.Second))
		return &fault{kind: k, reason: reason, status: statusOf(err), retry: left, err: withoutAddress(err)}
	}
	return err
}

func statusOf(err error) int {
	if f, ok := errors.AsType[*fault](err); ok {
		return f.status
	}
	if answer, ok := errors.AsType[*transport.Error](err); ok {
		return answer.StatusCode
	}
	return 0
}

// get asks for a part of the repository and returns the answer when it has one of the wanted statuses.
func (s *source) get(ctx context.Context, path, what string, header http.Header, wanted ...int) (*http.Response, error) {
	address := url.URL{Scheme: s.repo.Scheme(), Host: s.repo.RegistryStr(), Path: "/v2/" + s.repo.RepositoryStr() + "/" + path}
	req, err := http.NewRequestWithContext(withLogin(ctx, s.login), http.MethodGet, address.String(), nil)
	if err != nil {
		return nil, faultf(badReference, "the repository %s makes no address", s.repo)
	}
	req.Header = header
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, withoutAddress(err)
	}
	err = transport.CheckError(resp, wanted...)
	if err == nil {
		return resp, nil
	}
	_ = resp.Body.Close()
	var answer *transport.Error
	if !errors.As(err, &answer) {
		return nil, faultf(rejected, "the registry answered %d with an endless text", resp.StatusCode)
	}
	s.logAnswer(what, answer)
	return nil, answerFault(answer, what)
}

// answerFault is an answer without the request, whose address may hold a signature.
func answerFault(answer *transport.Error, what string) *fault {
	f := &fault{kind: answered(answer.StatusCode, answer.Errors), status: answer.StatusCode}
	f.reason = said(answer.StatusCode)
	if f.kind == absent {
		f.reason = "the registry does not have its " + what
		if what == "manifest" {
			f.reason = "the registry has no such image"
		}
	}
	return f
}

// said is a status in words of our own.
func said(status int) string {
	return strings.TrimSpace(fmt.Sprintf("the registry answered %d %s", status, http.StatusText(status)))
}

// clean makes a registry's own words fit for a log.
func clean(words string) string {
	words = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, words)
	if runes := []rune(words); len(runes) > saidLimit {
		words = string(runes[:saidLimit]) + "..."
	}
	return strings.TrimSpace(words)
}

func (s *source) fetchSmall(ctx context.Context, path, what string, limit int64) ([]byte, http.Header, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	resp, err := s.get(ctx, path, what, http.Header{"Accept": {accepted}}, http.StatusOK)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // Nothing to learn from it after reading.
	watch := newWatch(s.pace.stall, cancel)
	defer watch.stop()
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, nil, stallOr(ctx, brokenBody(err, what))
	}
	if int64(len(body)) > limit {
		return nil, nil, faultf(oversize, "its %s is longer than the %d bytes it may have", what, limit)
	}
	return body, resp.Header, nil
}

// errStalled is the cause given to a request that was given up because nothing came.
var errStalled = &fault{kind: timedOut, reason: "the registry stopped sending"}

// watch gives a request up when nothing came for a while.
type watch struct {
	timer *time.Timer
	limit time.Duration
}

func newWatch(limit time.Duration, cancel context.CancelCauseFunc) *watch {
	return &watch{limit: limit, timer: time.AfterFunc(limit, func() { cancel(errStalled) })}
}

func (w *watch) alive() { w.timer.Reset(w.limit) }
func (w *watch) stop()  { w.timer.Stop() }

// stallOr is the watch's verdict when it was the watch that ended the request.
func stallOr(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errStalled) {
		return errStalled
	}
	return err
}

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
