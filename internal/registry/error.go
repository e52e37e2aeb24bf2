package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/perceptor/perceptor/internal/netguard"
	"github.com/perceptor/perceptor/model"
)

// Error is why an image could not be resolved or pulled. Its message holds no secret.
type Error struct {
	Class model.FailureClass
	// Op is "resolve" or "pull".
	Op string
	// Reference is the image as the caller named it.
	Reference string
	// Status is the registry's HTTP status; 0 when the failure was no answer of it.
	Status int
	// Retry is how long the registry asked to be left alone; 0 when it did not.
	Retry time.Duration

	kind   kind
	reason string
	err    error
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s %s: %s: %s", e.Op, e.Reference, e.Class, e.reason)
}

// Unwrap returns the cause, without the addresses of requests, which may hold secrets.
func (e *Error) Unwrap() error { return e.err }

// FailureClass says whether waiting can help.
func (e *Error) FailureClass() model.FailureClass { return e.Class }

// RetryAfter is how long the registry asked to be left alone; 0 when it did not.
func (e *Error) RetryAfter() time.Duration { return e.Retry }

// Reason is the failure in words, without operation and class.
func (e *Error) Reason() string { return e.reason }

// explain turns whatever went wrong into the one error that callers see.
func explain(ctx context.Context, op, reference, credential string, err error) *Error {
	if ctx.Err() != nil {
		err = &fault{kind: stopped, reason: connectionReason(stopped, "", ctx.Err()), err: ctx.Err()}
	}
	err = withoutAddress(err)
	k := kindOf(err)
	e := &Error{Class: table[k].class, Op: op, Reference: reference, kind: k, err: err}
	var f *fault
	var answer *transport.Error
	switch {
	case errors.As(err, &f):
		e.reason, e.Status, e.Retry = f.reason, f.status, f.retry
	case errors.As(err, &answer):
		// The answer holds the request with its headers; only its words are kept.
		e.reason, e.Status = said(answer.StatusCode), answer.StatusCode
		e.err = errors.New(e.reason)
	default:
		e.reason = connectionReason(k, hostIn(reference), err)
	}
	if k == unauthorized {
		e.reason = unauthorizedReason(credential)
	}
	return e
}

// withoutAddress strips the request's address off an error of the HTTP client: after a redirect to a storage
// service it is a signed one, as good as a password.
func withoutAddress(err error) error {
	var request *url.Error
	for errors.As(err, &request) {
		err = request.Err
	}
	return err
}

func unauthorizedReason(credential string) string {
	if credential == "" {
		return "the registry refused: the image is private or does not exist, and this host's docker configuration does not open it"
	}
	return "the registry refused the credential that the request names"
}

// connectionReason says what went wrong with a host that a reference named. What that host led to, such as an address in an
// internal network, stays out.
func connectionReason(k kind, host string, err error) string {
	switch k {
	case stopped:
		return "stopped before it was done: " + err.Error()
	case unknownHost:
		return "the host " + unknownName(host, err) + " is not known; is the registry's name right?"
	case refused:
		return "nothing listens at " + host + "; is the registry running?"
	case timedOut:
		return "the registry did not answer in time"
	case broken:
		return "the connection to the registry broke off"
	case certificate:
		return "the registry's certificate is not trusted (" + certificateDetail(err) + "); give the CA file of this host if it has an authority of its own"
	case noTLS:
		return "the registry speaks HTTP without TLS, which must be allowed for this host (plainHTTP)"
	case refusedAddress:
		return addressReason(host, err)
	case noSpace:
		return "the disk is full"
	case disk:
		return "this machine's disk: " + err.Error()
	case foreignRealm:
		return "the registry names a token server that may not be called"
	}
	return "the registry's answer could not be used; the scanner's log says more"
}

// unknownName is the name that could not be resolved, which after a redirect is not that of the registry.
func unknownName(host string, err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return strconv.Quote(dns.Name)
	}
	return strconv.Quote(host)
}

// hostIn is the registry's host in a reference.
func hostIn(reference string) string {
	ref, err := name.ParseReference(reference, name.WeakValidation)
	if err != nil {
		return "the registry"
	}
	return ref.Context().RegistryStr()
}

// addressReason says which class of address was refused and how to allow it, not which address.
func addressReason(host string, err error) string {
	refused, _ := errors.AsType[*netguard.RefusedError](err)
	reason := "the registry " + host + ", or a host it names, has " + refused.Error()
	if !refused.Configurable() {
		return reason
	}
	return reason + "; to allow it, set internal: true at this host under registries, or list its network under scanner.network.allow"
}

// certificateDetail is the verifier's own sentence, without what other attempts said.
func certificateDetail(err error) string {
	if verification, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		err = verification.Err
	}
	return strings.TrimPrefix(err.Error(), "x509: ")
}

func throttledReason(left time.Duration) string {
	if left <= 0 {
		return "the registry asks for fewer requests"
	}
	return "the registry asks for fewer requests, and to wait " + left.Round(time.Second).String()
}
