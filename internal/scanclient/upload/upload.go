package upload

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"path"
	"strings"
	"sync/atomic"

	"github.com/perceptor/perceptor/internal/scanclient/protocol"
	"github.com/perceptor/perceptor/model"
)

// Request says what goes where, who sends it, and under which names.
type Request struct {
	SBOM string
	// URL is the hub's root.
	URL      string
	CAFile   string
	Insecure bool
	// Token, or else Username and Password, is the login.
	Token    string
	Username string
	Password string
	Project  string
	Version  string
	ScanName string
	// Attempt orders the uploads of one image; empty means that it is not sent.
	Attempt string
}

// scanData is where SBOMs go.
const scanData = "/api/scan/data"

// attemptHeader carries the attempt's id; a hub that does not know it passes it over.
const attemptHeader = "X-Perceptor-Attempt"

// attempts is how often a login and an upload are tried in one run: a hub that restarts between the two forgets the
// login and answers 401, which surely is a refusal.
const attempts = 2

// Progress hears how far an upload is. Its errors are of no interest: the result says how the upload ended.
type Progress interface {
	Progress(phase protocol.Phase, done, total int64) error
}

// Run uploads one SBOM. Its errors are protocol.Failure.
func Run(ctx context.Context, req Request, out Progress) (protocol.Result, error) {
	base, err := url.Parse(strings.TrimSuffix(req.URL, "/"))
	if err != nil || base.Host == "" || base.User != nil {
		return protocol.Result{}, refused(model.Invalid, "the hub's address is not one of the form https://host[:port]")
	}
	client, err := newClient(req.CAFile, req.Insecure)
	if err != nil {
		return protocol.Result{}, err
	}
	defer client.CloseIdleConnections()
	for attempt := 1; ; attempt++ {
		result, err := once(ctx, client, base, req, out)
		if attempt == attempts || !errors.Is(err, errForgotten) {
			return result, err
		}
	}
}

// once logs in and uploads.
func once(ctx context.Context, client *http.Client, base *url.URL, req Request, out Progress) (protocol.Result, error) {
	// A line that cannot be written means that the runner is gone, and then standard input closes too.
	_ = out.Progress(protocol.PhaseLogin, 0, 1)
	session, err := login(ctx, client, base, req)
	if err != nil {
		return protocol.Result{}, err
	}
	form, err := newForm(req, func(done, total int64) { _ = out.Progress(protocol.PhaseUpload, done, total) })
	if errors.Is(err, fs.ErrNotExist) {
		return protocol.Result{}, refused(model.NotFound, fmt.Sprintf("there is no SBOM at %s", req.SBOM))
	}
	if err != nil {
		return protocol.Result{}, refused(model.Transient, fmt.Sprintf("the SBOM cannot be read: %s", err))
	}
	defer func() { _ = form.Close() }()
	_ = out.Progress(protocol.PhaseUpload, 0, form.total)
	return post(ctx, client, base, session, form, req)
}

func post(ctx context.Context, client *http.Client, base *url.URL, s session, form *form, req Request) (protocol.Result, error) {
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, base.JoinPath(scanData).String(), form)
	if err != nil {
		return protocol.Result{}, refused(model.Invalid, "the hub's address is not one of the form https://host[:port]")
	}
	request.ContentLength = form.length
	request.Header.Set("Content-Type", form.contentType)
	// The hub may refuse before it gets the SBOM, and is heard then.
	request.Header.Set("Expect", "100-continue")
	if req.Attempt != "" {
		request.Header.Set(attemptHeader, req.Attempt)
	}
	s.sign(request)
	answer, err := client.Do(request)
	if err != nil {
		return protocol.Result{}, unreachable(err, base, !connected.Load())
	}
	defer func() { _ = answer.Body.Close() }()
	if err := judge(answer, base, "the upload"); err != nil {
		return protocol.Result{}, err
	}
	return accepted(answer, base)
}

// accepted reads where the hub tells of the scan. A hub that says nothing of it is believed too, unless what it sent is
// a page for people: then something else answered in its place.
func accepted(answer *http.Response, base *url.URL) (protocol.Result, error) {
	place, err := answer.Location()
	if err == nil {
		return protocol.Result{ScanID: path.Base(place.Path), ScanURL: place.String()}, nil
	}
	if isPage(answer) {
		return protocol.Result{}, protocol.Failure{
			Class:   model.Invalid,
			Message: fmt.Sprintf("something at %s answered the upload with a web page; is it the hub, or a proxy before it?", base.Host),
		}
	}
	return protocol.Result{}, nil
}

// TakeEnvironment reads the login from the environment and removes it there, so that nothing started later inherits it.
func TakeEnvironment(req *Request) error {
	for name, value := range map[string]*string{
		protocol.EnvToken: &req.Token, protocol.EnvUsername: &req.Username, protocol.EnvPassword: &req.Password,
	} {
		*value = os.Getenv(name)
		if err := os.Unsetenv(name); err != nil {
			return fmt.Errorf("remove %s from the environment: %w", name, err)
		}
	}
	return nil
}
