package osv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/perceptor/perceptor/model"
)

const (
	// maxArchive bounds a download; OSV's archive of all ecosystems has about 1 GB.
	maxArchive = 16 << 30
	// defaultStall is how long a download may stand still.
	defaultStall = time.Minute
	// maxRedirects is what browsers allow, halved: a mirror needs one or two.
	maxRedirects = 10
)

// archivesAt is the list of archives a web address stands for.
func archivesAt(from string, ecosystems []string) ([]string, error) {
	address, err := url.Parse(from)
	if err != nil {
		return nil, &Error{Class: model.Invalid, Where: "web address", Problem: "not readable; want https://host/path"}
	}
	if err := acceptable(address); err != nil {
		return nil, err
	}
	if isZip(address.Path) {
		return []string{from}, nil
	}
	archives := make([]string, 0, len(ecosystems))
	for _, ecosystem := range ecosystems {
		archives = append(archives, address.JoinPath(ecosystem, "all.zip").String())
	}
	return archives, nil
}

// acceptable refuses addresses that anybody on the way could answer, and addresses with a login in them.
func acceptable(address *url.URL) error {
	where := bare(address.String())
	host := address.Hostname()
	ip := net.ParseIP(host)
	switch {
	case host == "":
		return &Error{Class: model.Invalid, Where: where, Problem: "has no host"}
	case address.User != nil:
		return &Error{Class: model.Invalid, Where: where, Problem: "has a login in the address; fetch it with a program of your choice and give the file"}
	case address.Scheme == "https":
		return nil
	case address.Scheme == "http" && (host == "localhost" || ip != nil && ip.IsLoopback()):
		return nil
	}
	return &Error{Class: model.Invalid, Where: where, Problem: "only https is trusted with vulnerability data"}
}

// bare is a web address without login, query and fragment, any of which may hold a secret.
func bare(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "web address"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// readAddress fetches one archive into a temporary file, reads it, and removes the file.
func (s *Source) readAddress(ctx context.Context, address string, take taker) error {
	file, err := os.CreateTemp(s.opts.TempDir, "osv-*.zip")
	if err != nil {
		return &Error{Class: model.OutOfSpace, Where: bare(address), Problem: "no temporary file to fetch it into", Err: err}
	}
	defer os.Remove(file.Name()) //nolint:errcheck // nothing else can be done about it
	defer file.Close()           //nolint:errcheck // read back and thrown away
	if err := s.download(ctx, address, file); err != nil {
		return err
	}
	return s.readFile(ctx, file, bare(address), take)
}

func (s *Source) download(ctx context.Context, address string, file *os.File) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stall := s.opts.Stall
	if stall <= 0 {
		stall = defaultStall
	}
	// The clock runs from the start, so that it covers a server that accepts and never answers.
	clock := time.AfterFunc(stall, cancel)
	defer clock.Stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return &Error{Class: model.Invalid, Where: bare(address), Problem: "no address that can be fetched"}
	}
	response, err := s.client().Do(request)
	if err != nil {
		return fetchError(address, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return statusError(address, response.StatusCode, response.Header)
	}
	in := &body{stream: response.Body, moved: func(done int64) {
		clock.Reset(stall)
		s.progress(Progress{Name: bare(address), Downloading: true, Done: done, Total: max(response.ContentLength, 0)})
	}}
	n, err := io.Copy(file, io.LimitReader(in, maxArchive+1))
	switch {
	case err != nil:
		return fetchError(address, fmt.Errorf("after %d bytes: %w", n, err))
	case n > maxArchive:
		return &Error{Class: model.Invalid, Where: bare(address), Problem: fmt.Sprintf("longer than %d bytes", int64(maxArchive))}
	}
	return nil
}

// body tells how many bytes came through.
type body struct {
	stream io.Reader
	done   int64
	moved  func(done int64)
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.stream.Read(p)
	if n > 0 {
		b.done += int64(n)
		b.moved(b.done)
	}
	return n, err
}

// client is the caller's or a new one, with every redirect held to the rules of the first address.
func (s *Source) client() *http.Client {
	client := http.Client{}
	if s.opts.Client != nil {
		client = *s.opts.Client
	}
	client.CheckRedirect = func(request *http.Request, via []*http.Request) error {
		if len(via) >= maxRedirects {
			return &Error{Class: model.Invalid, Where: bare(request.URL.String()), Problem: fmt.Sprintf("more than %d redirects", maxRedirects)}
		}
		return acceptable(request.URL)
	}
	return &client
}

// fetchError drops the full address that the HTTP client puts into its errors.
func fetchError(address string, err error) error {
	if typed, is := errors.AsType[*Error](err); is {
		return &Error{Class: typed.Class, Where: bare(address), Problem: "redirected", Err: typed}
	}
	if inURL, is := errors.AsType[*url.Error](err); is {
		err = inURL.Err
	}
	e := &Error{Class: model.Transient, Where: bare(address), Problem: "not fetched", Err: err}
	switch {
	case errors.Is(err, syscall.ENOSPC):
		e.Class, e.Problem = model.OutOfSpace, "no space for the download"
	case errors.Is(err, context.Canceled):
		e.Problem = "not fetched: cancelled or standing still for too long"
	}
	return e
}

// classes says which answers may be different later; what is not in it is a refusal that a person must look at.
var classes = map[int]model.FailureClass{
	http.StatusUnauthorized:        model.Unauthorized,
	http.StatusForbidden:           model.Unauthorized,
	http.StatusNotFound:            model.NotFound,
	http.StatusGone:                model.NotFound,
	http.StatusRequestTimeout:      model.Transient,
	http.StatusTooManyRequests:     model.Throttled,
	http.StatusInternalServerError: model.Transient,
	http.StatusBadGateway:          model.Transient,
	http.StatusServiceUnavailable:  model.Transient,
	http.StatusGatewayTimeout:      model.Transient,
}

func statusError(address string, status int, header http.Header) error {
	class, known := classes[status]
	if !known {
		class = model.Invalid
	}
	return &Error{
		Class: class, Where: bare(address), Problem: "the server answered " + strconv.Itoa(status) + " " + http.StatusText(status),
		Retry: retryAfter(header.Get("Retry-After")),
	}
}

// retryAfter reads both forms of the header; zero when there is none, or none that can be read.
func retryAfter(header string) time.Duration {
	header = strings.TrimSpace(header)
	if seconds, err := strconv.ParseUint(header, 10, 20); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}
