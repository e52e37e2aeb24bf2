package fetch

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/perceptor/perceptor/model"
)

// Error says which address could not be fetched, and why.
type Error struct {
	Class model.FailureClass
	// Where is the address without login, query and fragment.
	Where string
	// Problem is what is wrong, in words.
	Problem string
	// Retry is how long the server asked to wait; zero when it said nothing.
	Retry time.Duration
	// Err is the cause, if another error is one.
	Err error
}

// Error is "where: problem: cause".
func (e *Error) Error() string {
	text := e.Where + ": " + e.Problem
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// FailureClass says whether waiting can help.
func (e *Error) FailureClass() model.FailureClass { return e.Class }

// RetryAfter is how long the server asked to wait; zero when it said nothing.
func (e *Error) RetryAfter() time.Duration { return e.Retry }

func invalid(address, problem string) *Error {
	return &Error{Class: model.Invalid, Where: Bare(address), Problem: problem}
}

// Check refuses addresses that anybody on the way could answer, and addresses with a login in them.
func Check(address *url.URL) error {
	where := address.String()
	host := address.Hostname()
	ip := net.ParseIP(host)
	switch {
	case host == "":
		return invalid(where, "has no host")
	case address.User != nil:
		return invalid(where, "has a login in the address; fetch it with a program of your choice and give the file")
	case address.Scheme == "https":
		return nil
	case address.Scheme == "http" && (host == "localhost" || ip != nil && ip.IsLoopback()):
		return nil
	}
	return invalid(where, "only https is trusted with vulnerability data")
}

// Bare is a web address without login, query and fragment, any of which may hold a secret.
func Bare(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "web address"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// failed drops the full address that the HTTP client puts into its errors.
func failed(address string, err error) error {
	if typed, is := errors.AsType[*Error](err); is {
		return &Error{Class: typed.Class, Where: Bare(address), Problem: "redirected", Err: typed}
	}
	if inURL, is := errors.AsType[*url.Error](err); is {
		err = inURL.Err
	}
	e := &Error{Class: model.Transient, Where: Bare(address), Problem: "not fetched", Err: err}
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

func refused(address string, status int, header http.Header) error {
	class, known := classes[status]
	if !known {
		class = model.Invalid
	}
	return &Error{
		Class: class, Where: Bare(address), Problem: "the server answered " + strconv.Itoa(status) + " " + http.StatusText(status),
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
