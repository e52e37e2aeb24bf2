package upload

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/perceptor/perceptor/internal/scanclient/protocol"
	"github.com/perceptor/perceptor/model"
)

// meaning is what a status says: its class, whether the hub surely took nothing, and what a person may do.
type meaning struct {
	class   model.FailureClass
	refused bool
	hint    string
}

// meanings is the one table of a hub's answers. A status of 5xx other than 503 may come from a front door whose hub has
// the SBOM all the same; so may nothing of the 4xx.
var meanings = map[int]meaning{
	http.StatusUnauthorized:          {model.Unauthorized, true, "check the hub's token or password"},
	http.StatusPaymentRequired:       {model.Unsupported, true, "the hub's licence does not allow it"},
	http.StatusForbidden:             {model.Unauthorized, true, "the user lacks the role to create projects and scans"},
	http.StatusNotFound:              {model.Unsupported, true, "is the address a hub's, and does this hub take SBOMs?"},
	http.StatusRequestTimeout:        {model.Transient, true, "the hub got the SBOM too slowly"},
	http.StatusConflict:              {model.Invalid, true, "the hub has a newer upload or another mapping of this scan"},
	http.StatusPreconditionFailed:    {model.Invalid, true, "the hub has a newer upload of this scan"},
	http.StatusRequestEntityTooLarge: {model.Invalid, true, "the SBOM is larger than the hub or a proxy before it takes"},
	http.StatusTooEarly:              {model.Transient, true, "the hub is not ready yet"},
	http.StatusTooManyRequests:       {model.Throttled, true, "the hub has enough to do"},
	http.StatusServiceUnavailable:    {model.Transient, true, "the hub is not available"},
}

func meaningOf(status int) meaning {
	if known, ok := meanings[status]; ok {
		return known
	}
	switch {
	case status >= http.StatusInternalServerError:
		return meaning{model.Transient, false, "the hub is in trouble"}
	case status >= http.StatusBadRequest:
		return meaning{model.Invalid, true, "the hub did not accept it"}
	default:
		return meaning{model.Invalid, true, "is the address exactly the hub's own?"}
	}
}

// errForgotten marks a 401: a login that the hub does not know, or no longer.
var errForgotten = errors.New("login not known")

// forgotten is a failure that a new login may mend.
type forgotten struct{ protocol.Failure }

// Unwrap gives both the cause and the failure that is reported.
func (f forgotten) Unwrap() []error { return []error{f.Failure, errForgotten} }

// judge is nil for 2xx, else what the status means in words.
func judge(answer *http.Response, base *url.URL, what string) error {
	if answer.StatusCode >= http.StatusOK && answer.StatusCode < http.StatusMultipleChoices {
		return nil
	}
	m := meaningOf(answer.StatusCode)
	said := ownWords(answer)
	if said == "" {
		said = m.hint
	}
	failure := protocol.Failure{
		Class:             m.class,
		Refused:           m.refused,
		Message:           fmt.Sprintf("%s answered %s with %d: %s", base.Host, what, answer.StatusCode, said),
		RetryAfterSeconds: retryAfter(answer.Header.Get("Retry-After"), time.Now()),
	}
	if answer.StatusCode == http.StatusUnauthorized {
		return forgotten{failure}
	}
	return failure
}

// maxWords is how much of a hub's own reason is passed on, in bytes.
const maxWords = 300

// ownWords is the reason in a hub's JSON answer; what is no JSON, such as a proxy's page, gives none.
func ownWords(answer *http.Response) string {
	var body struct {
		ErrorMessage string `json:"errorMessage"`
	}
	if isPage(answer) || json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(&body) != nil {
		return ""
	}
	words := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, body.ErrorMessage)
	if len(words) > maxWords {
		words = strings.ToValidUTF8(words[:maxWords], "") + "..."
	}
	return words
}

func isPage(answer *http.Response) bool {
	kind, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	return err == nil && kind == "text/html"
}

// retryAfter reads seconds or a date (RFC 9110 section 10.2.3); what is neither, or past, is no wait.
func retryAfter(value string, now time.Time) int64 {
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		return max(seconds, 0)
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(int64(date.Sub(now).Seconds()), 0)
	}
	return 0
}

// refused is a failure that surely left nothing at the hub.
func refused(class model.FailureClass, message string) error {
	return protocol.Failure{Class: class, Message: message, Refused: true}
}

// surely says the same failure with the knowledge that nothing of the upload was sent.
func surely(err error) error {
	if failure, ok := errors.AsType[protocol.Failure](err); ok {
		failure.Refused = true
		return failure
	}
	return err
}

// unreachable is a call that got no answer. A certificate that is not trusted needs a change by a person; all
// else passes with time.
func unreachable(err error, base *url.URL, nothingSent bool) error {
	failure := protocol.Failure{Class: model.Transient, Refused: nothingSent}
	var certificate *tls.CertificateVerificationError
	var name *net.DNSError
	var record tls.RecordHeaderError
	// The address in the client's own error is the hub's and says nothing new; its cause does.
	if call, ok := errors.AsType[*url.Error](err); ok {
		err = call.Err
	}
	switch {
	case errors.As(err, &certificate):
		failure.Class = model.Invalid
		failure.Message = fmt.Sprintf("the certificate of %s is not trusted (%s); give its authority as the hub's CA file", base.Host, certificate.Err)
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		failure.Class = model.Invalid
		failure.Message = fmt.Sprintf("%s does not speak TLS; is it http instead of https?", base.Host)
	case errors.As(err, &name) && name.IsNotFound:
		failure.Message = fmt.Sprintf("there is no host named %s", base.Hostname())
	case nothingSent:
		failure.Message = fmt.Sprintf("%s cannot be reached: %s", base.Host, err)
	default:
		failure.Message = fmt.Sprintf("the connection to %s broke during the upload, and whether the hub has it is not known: %s", base.Host, err)
	}
	return failure
}
