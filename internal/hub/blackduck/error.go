package blackduck

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/perceptor/perceptor/model"
)

// Error is why a call of the hub failed. It holds no secret.
type Error struct {
	// Class says whether waiting can help.
	Class model.FailureClass
	// Hub is the configured name of the hub.
	Hub string
	// Op is what was being done, such as "find scan".
	Op string
	// Method and Path are the request; empty when none was made. The query is left out.
	Method, Path string
	// Status is the HTTP status, 0 when there was none.
	Status int
	// Retry is how long the hub asks to wait, at most an hour; 0 when it did not say.
	Retry time.Duration

	row failure
	err error
}

// Error says where, what, and what to do.
func (e *Error) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "hub %s: %s: ", e.Hub, e.Op)
	if e.Method != "" {
		fmt.Fprintf(&text, "%s %s: ", e.Method, e.Path)
	}
	if e.Status != 0 {
		fmt.Fprintf(&text, "%s: ", strings.TrimSpace(fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status))))
	}
	text.WriteString(e.row.says)
	if e.Retry > 0 {
		fmt.Fprintf(&text, "; it asks to wait %v", e.Retry)
	}
	if e.err != nil {
		fmt.Fprintf(&text, " (%v)", e.err)
	}
	return text.String()
}

// Unwrap is the cause, when there is one below this package.
func (e *Error) Unwrap() error { return e.err }

// FailureClass is Class, for callers that know only the interface.
func (e *Error) FailureClass() model.FailureClass { return e.Class }

// RetryAfter is Retry, for callers that know only the interface.
func (e *Error) RetryAfter() time.Duration { return e.Retry }

// problem is a failure on its way up: the row and the cause, before the request's names are added.
type problem struct {
	row    failure
	status int
	retry  time.Duration
	cause  error
}

func (p *problem) Error() string { return p.row.says }

// trouble makes a problem of a symptom. The cause may be nil.
func trouble(s symptom, cause error) *problem { return &problem{row: forSymptom(s), cause: cause} }

// wrap makes the public error of anything that happened during an operation.
func (c *connection) wrap(op, method string, at *url.URL, err error) error {
	if err == nil {
		return nil
	}
	if _, done := errors.AsType[*Error](err); done {
		return err
	}
	var p *problem
	if !errors.As(err, &p) {
		p = trouble(symptomArgument, err)
	}
	e := &Error{Class: p.row.class, Hub: c.name, Op: op, Method: method, Status: p.status, Retry: p.retry, row: p.row, err: p.cause}
	if at != nil {
		e.Path = at.Path
	}
	return e
}

// fromTransport names the symptom of a request that got no whole answer. outer is the caller's own context.
func fromTransport(outer context.Context, err error) *problem {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // the URL is there already, without its query
	}
	var timeout net.Error
	switch {
	case outer.Err() != nil:
		return gaveUp(outer.Err())
	case isUntrusted(err):
		return trouble(symptomCertificate, err)
	case isNoTLS(err):
		return trouble(symptomNoTLS, err)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return trouble(symptomTimeout, err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return trouble(symptomCutOff, err)
	default:
		return trouble(symptomNetwork, err)
	}
}

// gaveUp tells a caller that was stopped from one whose time ran out while the hub said nothing.
func gaveUp(cause error) *problem {
	if errors.Is(cause, context.DeadlineExceeded) {
		return trouble(symptomTimeout, cause)
	}
	return trouble(symptomCancelled, cause)
}

func isUntrusted(err error) bool {
	var verification *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	return errors.As(err, &verification) || errors.As(err, &unknown) || errors.As(err, &invalid) || errors.As(err, &name)
}

func isNoTLS(err error) bool {
	var record tls.RecordHeaderError
	var alert *net.OpError // crypto/tls tells the other side's alerts by this name and in no other way
	return errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &record) || errors.As(err, &alert) && alert.Op == "remote error"
}

// longestSaying bounds what is repeated of the hub's own words.
const longestSaying = 300

// saying is the hub's own text in one bounded, printable line without the given secrets.
func saying(text string, secrets []string) string {
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "[secret]")
		}
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > longestSaying {
		text = strings.ToValidUTF8(text[:longestSaying], "") + "..."
	}
	return text
}

// hubSays is the hub's own explanation as an error.
type hubSays string

func (s hubSays) Error() string { return fmt.Sprintf("the hub says: %q", string(s)) }
