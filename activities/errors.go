package activities

import (
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/perceptor/perceptor/model"
)

// classified is what every edge's typed error offers.
type classified interface {
	error
	FailureClass() model.FailureClass
	RetryAfter() time.Duration
}

// ClassOf is the class an edge gave the error; an error without a class is transient, because only a known cause may end a scan.
func ClassOf(err error) (model.FailureClass, time.Duration) {
	if c, ok := errors.AsType[classified](err); ok {
		return c.FailureClass(), c.RetryAfter()
	}
	return model.Transient, 0
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

// inPart notes in which part of a step an error of asApplicationError came up. Other errors stay as they are.
func inPart(part string, err error) error {
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	if !ok {
		return err
	}
	return temporal.NewApplicationErrorWithOptions(app.Message(), app.Type(), temporal.ApplicationErrorOptions{
		NonRetryable: app.NonRetryable(), NextRetryDelay: app.NextRetryDelay(), Details: []any{part},
	})
}

// PartOf reads in which part of PullImage its error came up, in a workflow; empty for the pull, and where that is not known.
func PartOf(err error) string {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		var part string
		if app.HasDetails() && app.Details(&part) == nil && part == PartSBOM {
			return part
		}
	}
	if timeout, ok := errors.AsType[*temporal.TimeoutError](err); ok {
		var last Progress
		if timeout.HasLastHeartbeatDetails() && timeout.LastHeartbeatDetails(&last) == nil && last.Phase != "" && last.Phase != phasePull {
			return PartSBOM
		}
	}
	return ""
}

// FailureOf reads the class and the reason back out of an activity's error, in a workflow.
func FailureOf(err error) (model.FailureClass, string) {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		class := model.FailureClass(app.Type())
		if !class.Known() {
			class = model.Transient // the SDK names an error without a class by its Go type
		}
		return class, app.Message()
	}
	if timeout, ok := errors.AsType[*temporal.TimeoutError](err); ok {
		return model.Transient, "no answer in time (" + timeout.TimeoutType().String() + ")"
	}
	return model.Transient, err.Error()
}
