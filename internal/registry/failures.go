package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/perceptor/perceptor/internal/netguard"
	"github.com/perceptor/perceptor/model"
)

// kind is what went wrong, as far as it makes a difference.
type kind string

const (
	stopped         kind = "stopped"
	badReference    kind = "bad reference"
	badCredential   kind = "bad credential"
	unknownHost     kind = "unknown host"
	refused         kind = "connection refused"
	timedOut        kind = "timeout"
	broken          kind = "broken connection"
	certificate     kind = "certificate"
	noTLS           kind = "no TLS"
	refusedRedirect kind = "refused redirect"
	refusedAddress  kind = "refused address"
	foreignRealm    kind = "foreign realm"
	unauthorized    kind = "unauthorized"
	absent          kind = "absent"
	otherImage      kind = "another image"
	throttled       kind = "throttled"
	serverError     kind = "server error"
	rejected        kind = "rejected"
	mismatch        kind = "mismatch"
	oversize        kind = "oversize"
	notAnImage      kind = "not an image"
	unsupported     kind = "unsupported"
	noneFits        kind = "none fits" // of the images of an index
	noSpace         kind = "no space"
	disk            kind = "disk"
	other           kind = "other"
)

// table is the one place that says what a failure means to the caller and whether the same request is sent again.
// Hosts that are unknown or refuse are left to the caller: it waits longer than a pull should hold its place.
var table = map[kind]struct {
	class model.FailureClass
	again bool
}{
	stopped:         {model.Transient, false},
	badReference:    {model.Invalid, false},
	badCredential:   {model.Unauthorized, false},
	unknownHost:     {model.Transient, false},
	refused:         {model.Transient, false},
	timedOut:        {model.Transient, true},
	broken:          {model.Transient, true},
	certificate:     {model.Invalid, false},
	noTLS:           {model.Invalid, false},
	refusedRedirect: {model.Invalid, false},
	refusedAddress:  {model.Invalid, false},
	foreignRealm:    {model.Invalid, false},
	unauthorized:    {model.Unauthorized, false},
	absent:          {model.NotFound, false},
	otherImage:      {model.NotFound, false},
	throttled:       {model.Throttled, true},
	serverError:     {model.Transient, true},
	rejected:        {model.Invalid, false},
	mismatch:        {model.Invalid, false},
	oversize:        {model.Invalid, false},
	notAnImage:      {model.Invalid, false},
	unsupported:     {model.Unsupported, false},
	noneFits:        {model.Unsupported, false},
	noSpace:         {model.OutOfSpace, false},
	disk:            {model.Transient, false},
	other:           {model.Transient, true},
}

// fault is a failure whose kind and words are known where it happens.
type fault struct {
	kind   kind
	reason string
	status int
	retry  time.Duration
	err    error
}

func faultf(k kind, format string, args ...any) *fault {
	return &fault{kind: k, reason: fmt.Sprintf(format, args...)}
}

func (f *fault) Error() string { return f.reason }
func (f *fault) Unwrap() error { return f.err }

// codes are the registries' own words that say more than the status they come with.
var codes = map[transport.ErrorCode]kind{
	transport.NameUnknownErrorCode:     absent,
	transport.ManifestUnknownErrorCode: absent,
	transport.BlobUnknownErrorCode:     absent,
	transport.UnauthorizedErrorCode:    unauthorized,
	transport.DeniedErrorCode:          unauthorized,
	transport.TooManyRequestsErrorCode: throttled,
}

// answered is the kind of an answer that is not a success.
func answered(status int, said []transport.Diagnostic) kind {
	switch {
	case status == http.StatusTooManyRequests:
		return throttled
	case status >= http.StatusInternalServerError:
		return serverError
	case status == http.StatusRequestTimeout:
		return timedOut
	}
	for _, d := range said {
		if k, ok := codes[d.Code]; ok {
			return k
		}
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return unauthorized
	case http.StatusNotFound, http.StatusGone:
		return absent
	}
	return rejected
}

// kindOf takes the most telling of several outcomes, since a registry on loopback is tried with TLS and without and
// both come in one error: a certificate shows that TLS is spoken, and an answer is worth more than a connection.
func kindOf(err error) kind {
	if distrusted(err) {
		return certificate
	}
	if f, ok := errors.AsType[*fault](err); ok {
		return f.kind
	}
	if _, ok := errors.AsType[*netguard.RefusedError](err); ok {
		return refusedAddress
	}
	if answer, ok := errors.AsType[*transport.Error](err); ok {
		return answered(answer.StatusCode, answer.Errors)
	}
	// A deadline is not looked for: the network's own timeouts claim to be one.
	if errors.Is(err, context.Canceled) {
		return stopped
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return noSpace
	}
	// The library has no type for a token server that it does not call.
	if strings.Contains(err.Error(), "invalid realm in www-authenticate") || strings.Contains(err.Error(), "refusing token-server redirect") {
		return foreignRealm
	}
	return kindOfConnection(err)
}

func kindOfConnection(err error) kind {
	if dns, ok := errors.AsType[*net.DNSError](err); ok && !dns.IsTimeout {
		return unknownHost
	}
	var path *fs.PathError
	var network net.Error
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return refused
	case errors.As(err, &network) && network.Timeout():
		return timedOut
	case errors.As(err, &path):
		return disk
	case isAny(err, io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, net.ErrClosed):
		return broken
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &record), errors.Is(err, errPlainHTTP):
		return noTLS
	}
	return other
}

func distrusted(err error) bool {
	var verification *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	return errors.As(err, &verification) || errors.As(err, &authority)
}

func isAny(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}
