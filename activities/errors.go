package activities

import (
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/perceptor/perceptor/internal/image"
)

// classified is what every edge's typed error offers.
type classified interface {
	error
	FailureClass() image.FailureClass
	RetryAfter() time.Duration
}

// ClassOf is the class an edge gave the error; an error nobody classified is transient, because only a known cause may end a scan.
func ClassOf(err error) (image.FailureClass, time.Duration) {
	if c, ok := errors.AsType[classified](err); ok {
		return c.FailureClass(), c.RetryAfter()
	}
	return image.Transient, 0
}

// asApplicationError turns an edge's error into one the server understands: the class becomes the error's type, a
// class that waiting cannot help becomes non-retryable, and what the other side asked for becomes the next delay.
func asApplicationError(err error) error {
	if err == nil {
		return nil
	}
	class, after := ClassOf(err)
	return temporal.NewApplicationErrorWithOptions(err.Error(), string(class), temporal.ApplicationErrorOptions{
		NonRetryable:   !class.Temporary(),
		NextRetryDelay: after,
	})
}

// FailureOf reads the class and the reason back out of an activity's error, in a workflow.
func FailureOf(err error) (image.FailureClass, string) {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		class := image.FailureClass(app.Type())
		if !class.Known() {
			class = image.Transient // the SDK names an error that nobody classified by its Go type
		}
		return class, app.Message()
	}
	if timeout, ok := errors.AsType[*temporal.TimeoutError](err); ok {
		return image.Transient, "no answer in time (" + timeout.TimeoutType().String() + ")"
	}
	return image.Transient, err.Error()
}
