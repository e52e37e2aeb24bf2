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
	"time"
	"unicode"

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

// open logs in to the registry of a repository, in the way that registry asks for.
func (c *Client) open(ctx context.Context, repo name.Repository, credential string) (*source, error) {
	s := &source{repo: repo, pace: c.pace, gate: c.wire.gate, log: c.log, login: login{
		access: repo.Name() + " " + credential, registry: canonicalHost(repo.RegistryStr()), realms: c.options.Hosts[repo.RegistryStr()].Realms,
	}}
	ctx = withLogin(ctx, s.login)
	auth, err := c.authenticator(ctx, repo, credential)
	if err != nil {
		return nil, err
	}
	err = s.retry(ctx, func() error {
		agent := transport.NewUserAgent(c.wire, "perceptor")
		rt, err := transport.NewWithContext(ctx, repo.Registry, auth, agent, []string{repo.Scope(transport.PullScope)})
		if err != nil {
			return s.loginError(ctx, err)
		}
		s.http = &http.Client{Transport: rt, CheckRedirect: c.wire.checkRedirect}
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
