package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/perceptor/perceptor/model"
)

const (
	// answerTime bounds one request, answerBytes one answer: a page of names, or a manifest, which registries bound to 4 MiB.
	answerTime  = 20 * time.Second
	answerBytes = 8 << 20
	// pageSize is how many names are asked for at a time. Registries give fewer if they like.
	pageSize = 500
)

// manifestTypes are what a tag may lead to.
var manifestTypes = strings.Join([]string{
	"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json",
	"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json",
}, ", ")

// Login is how the registry is logged in to. The zero value is no login.
type Login struct {
	Username string
	// PasswordFile holds the password or token. It is read for each connection, so that a rotated file counts at once.
	PasswordFile string
}

// Error is a call to the registry that failed.
type Error struct {
	// What names the operation.
	What string
	// Status is the registry's answer, 0 where there was none.
	Status int
	Err    error
}

func (e *Error) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("%s: the registry answered %d", e.What, e.Status)
	}
	return fmt.Sprintf("%s: %v", e.What, e.Err)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// FailureClass says whether asking again may help.
func (e *Error) FailureClass() model.FailureClass {
	switch e.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return model.Unauthorized
	case http.StatusNotFound:
		return model.NotFound
	case http.StatusTooManyRequests:
		return model.Throttled
	case 0, http.StatusRequestTimeout:
		return model.Transient
	}
	if e.Status >= http.StatusInternalServerError {
		return model.Transient
	}
	return model.Invalid
}

// isAbsent reports whether the registry said that there is no such thing.
func isAbsent(err error) bool { return classOf(err) == model.NotFound }

// classOf is the class of a failed call.
func classOf(err error) model.FailureClass {
	if failed, ok := errors.AsType[*Error](err); ok {
		return failed.FailureClass()
	}
	return model.Transient
}

// wrong makes an Error of what a call ended with.
func wrong(what string, err error) error {
	failed := &Error{What: what, Err: err}
	if answered, ok := errors.AsType[*transport.Error](err); ok {
		failed.Status = answered.StatusCode
	}
	return failed
}

// client asks the registry. It is safe for concurrent use.
type client struct {
	registry name.Registry
	login    Login
	base     http.RoundTripper
}

func newClient(o Options) (*client, error) {
	var options []name.Option
	if o.PlainHTTP {
		options = append(options, name.Insecure)
	}
	registry, err := name.NewRegistry(o.Host, append(options, name.StrictValidation)...)
	if err != nil {
		return nil, fmt.Errorf("registry %.100q is not a host; write it as in references, such as registry.example:5000", o.Host)
	}
	base := o.Transport
	if base == nil {
		base = http.DefaultTransport
	}
	return &client{registry: registry, login: o.Login, base: bounded{base}}, nil
}

// bounded cuts answers, also those of token servers.
type bounded struct{ inner http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.inner.RoundTrip(r)
	if err == nil {
		answer.Body = cutBody{io.LimitReader(answer.Body, answerBytes), answer.Body}
	}
	return answer, err
}

type cutBody struct {
	io.Reader
	io.Closer
}

// session is a login for one scope.
type session struct {
	http *http.Client
	base url.URL
}

// open logs in for a scope.
func (c *client) open(ctx context.Context, what, scope string) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	login := authn.Anonymous
	if c.login.Username != "" {
		secret, err := os.ReadFile(c.login.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("%s: read the password of the login: %w", what, err)
		}
		login = authn.FromConfig(authn.AuthConfig{Username: c.login.Username, Password: strings.TrimSpace(string(secret))})
	}
	authenticated, err := transport.NewWithContext(ctx, c.registry, login, c.base, []string{scope})
	if err != nil {
		return nil, wrong(what, err)
	}
	return &session{
		http: &http.Client{Transport: authenticated, Timeout: answerTime, CheckRedirect: onlySameHost},
		base: url.URL{Scheme: c.registry.Scheme(), Host: c.registry.RegistryStr(), Path: "/v2/"},
	}, nil
}

// onlySameHost refuses to be sent elsewhere: names and digests are the registry's own.
func onlySameHost(r *http.Request, via []*http.Request) error {
	if r.URL.Host != via[0].URL.Host || len(via) > 3 {
		return errors.New("the registry redirects to another host")
	}
	return nil
}

// catalogue opens the list of repositories.
func (c *client) catalogue(ctx context.Context) (*session, error) {
	return c.open(ctx, "list repositories", "registry:catalog:*")
}

// repository opens one repository.
func (c *client) repository(ctx context.Context, repository string) (*session, error) {
	return c.open(ctx, "open repository "+repository, "repository:"+repository+":pull")
}

// repositories lists one page of the repositories, and where the next one is; empty at the end. The first page is that of "".
func (s *session) repositories(ctx context.Context, page string) (names []string, next string, err error) {
	var list struct {
		Repositories []string `json:"repositories"`
	}
	next, err = s.page(ctx, "list repositories", "_catalog", page, &list)
	return list.Repositories, next, err
}

// tags lists one page of the tags of a repository.
func (s *session) tags(ctx context.Context, repository, page string) (names []string, next string, err error) {
	var list struct {
		Tags []string `json:"tags"`
	}
	next, err = s.page(ctx, "list tags of "+repository, repository+"/tags/list", page, &list)
	return list.Tags, next, err
}

// page reads one page of a list.
func (s *session) page(ctx context.Context, what, path, page string, list any) (next string, err error) {
	at := s.base.JoinPath(path)
	at.RawQuery = url.Values{"n": {fmt.Sprint(pageSize)}}.Encode()
	if page != "" {
		if at, err = s.base.Parse(page); err != nil || at.Host != s.base.Host || at.Scheme != s.base.Scheme || !strings.HasPrefix(at.Path, s.base.Path) {
			return "", &Error{What: what, Err: errors.New("the registry's link to the next page leads elsewhere")}
		}
	}
	answer, err := s.ask(ctx, http.MethodGet, what, at, "application/json")
	if err != nil {
		return "", err
	}
	defer answer.Body.Close() //nolint:errcheck // only read
	if err := json.NewDecoder(answer.Body).Decode(list); err != nil {
		return "", &Error{What: what, Err: fmt.Errorf("read the answer: %w", err)}
	}
	return nextPage(answer.Header.Values("Link")), nil
}

// nextPage is the target of a Link header with rel="next".
func nextPage(links []string) string {
	for _, each := range links {
		target, parameters, found := strings.Cut(strings.TrimSpace(each), ">")
		if found && strings.HasPrefix(target, "<") && strings.Contains(strings.ToLower(strings.ReplaceAll(parameters, `"`, "")), "rel=next") {
			return target[1:]
		}
	}
	return ""
}

// digest asks which manifest a tag leads to. A tag that is not there has none.
func (s *session) digest(ctx context.Context, repository, tag string) (model.Digest, error) {
	what := "read tag " + repository + ":" + tag
	at := s.base.JoinPath(repository, "manifests", tag)
	answer, err := s.ask(ctx, http.MethodHead, what, at, manifestTypes)
	if isAbsent(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	_ = answer.Body.Close()
	if digest, err := model.ParseDigest(answer.Header.Get("Docker-Content-Digest")); err == nil {
		return digest, nil
	}
	// A registry need not send the header.
	if answer, err = s.ask(ctx, http.MethodGet, what, at, manifestTypes); err != nil {
		return "", err
	}
	defer answer.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(answer.Body)
	if err != nil || len(text) >= answerBytes {
		return "", &Error{What: what, Err: errors.Join(errors.New("the manifest could not be read whole"), err)}
	}
	sum := sha256.Sum256(text)
	return model.ParseDigest(model.DigestPrefix + hex.EncodeToString(sum[:]))
}

func (s *session) ask(ctx context.Context, method, what string, at *url.URL, accept string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, at.String(), nil)
	if err != nil {
		return nil, &Error{What: what, Err: err}
	}
	request.Header.Set("Accept", accept)
	answer, err := s.http.Do(request)
	if err != nil {
		return nil, wrong(what, err)
	}
	if answer.StatusCode != http.StatusOK {
		_ = answer.Body.Close()
		return nil, &Error{What: what, Status: answer.StatusCode}
	}
	return answer, nil
}
