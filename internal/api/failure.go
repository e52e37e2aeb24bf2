package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/perceptor/perceptor/model"
)

// Failure is an error of the backend whose reason the client may read. The text of any other error stays in the log.
type Failure struct {
	Class  model.FailureClass
	Reason string
}

// Error is the reason.
func (f Failure) Error() string { return f.Reason }

// Stale says that a report was not taken, because the cluster has a newer one.
type Stale struct{ Reason string }

// Error is the reason.
func (s Stale) Error() string { return s.Reason }

// What a client reads of an error that is not a Failure. The log has the error itself.
const (
	notReadyReason = "not accepted: the workflows cannot be reached at the moment; send it again in a few seconds"
	tooLateReason  = "not done in time, and perhaps not accepted; send it again"
)

// RetryAfter is how many seconds a client should wait before it sends a request again.
const RetryAfter = "5"

// Explain turns an error of the backend into a status and a text for the client.
func Explain(err error) (status int, text string) {
	var f Failure
	var stale Stale
	switch {
	case errors.As(err, &stale):
		return http.StatusConflict, stale.Reason
	case errors.As(err, &f):
		return statusOf(f.Class), f.Reason
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable, tooLateReason
	}
	return http.StatusServiceUnavailable, notReadyReason
}

func statusOf(c model.FailureClass) int {
	switch c {
	case model.NotFound:
		return http.StatusNotFound
	case model.Invalid, model.Unsupported:
		return http.StatusBadRequest
	case model.Throttled:
		return http.StatusTooManyRequests
	case model.Unauthorized:
		// The registry or the hub refused Perceptor. The client itself was admitted.
		return http.StatusBadGateway
	default:
		return http.StatusServiceUnavailable
	}
}

// Refusal is the answer to a request that is not carried out: a status, and a text that says what is wrong.
type Refusal struct {
	Status int
	Text   string
}

// Error is the text.
func (r *Refusal) Error() string { return r.Text }

// Refuse makes a refusal.
func Refuse(status int, format string, args ...any) *Refusal {
	return &Refusal{Status: status, Text: fmt.Sprintf(format, args...)}
}

// AsRefusal returns the refusal in an error, nil when there is none.
func AsRefusal(err error) *Refusal {
	r, _ := errors.AsType[*Refusal](err)
	return r
}

// setHeaders sets the headers that belong to the status.
func (r *Refusal) setHeaders(h http.Header) {
	switch r.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", Challenge)
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		h.Set("Retry-After", RetryAfter)
	}
}

// WritePlain answers with one line of text.
func (r *Refusal) WritePlain(w http.ResponseWriter) {
	r.setHeaders(w.Header())
	http.Error(w, r.Text, r.Status)
}

// WriteProblem answers with application/problem+json.
func (r *Refusal) WriteProblem(w http.ResponseWriter) {
	r.setHeaders(w.Header())
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(r.Status)
	problem := huma.ErrorModel{Status: r.Status, Title: http.StatusText(r.Status), Detail: r.Text}
	_ = json.NewEncoder(w).Encode(problem) // the client may have left
}
