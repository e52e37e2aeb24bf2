package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/perceptor/perceptor/model"
)

// Failure is a failure of the backend whose reason the client may read. Any other error is answered without its text.
type Failure struct {
	Class  model.FailureClass
	Reason string
}

// Error is the reason.
func (f Failure) Error() string { return f.Reason }

// notReadyReason is what a client learns of an error that is not a Failure; the log has the rest.
const notReadyReason = "not accepted: the workflows cannot be reached at the moment; send it again in a few seconds"

// tooLateReason is for what took longer than a request may.
const tooLateReason = "not done in time, and perhaps not accepted; send it again"

// retryAfter is how many seconds a client is asked to wait before it sends something again.
const retryAfter = "5"

// answerTo turns an error of the backend into a status and words for the client.
func answerTo(err error) (int, string) {
	var f Failure
	switch {
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
		// The registry or the hub refused us; the client is known here.
		return http.StatusBadGateway
	default:
		return http.StatusServiceUnavailable
	}
}
