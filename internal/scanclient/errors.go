package scanclient

import (
	"fmt"
	"time"

	"github.com/perceptor/perceptor/model"
)

// The operations an Error names.
const (
	OpNew    = "set up"
	OpSBOM   = "sbom"
	OpUpload = "upload"
)

// Error is why a scan client gave no result. Its text is for people and never holds a secret.
type Error struct {
	Class  model.FailureClass
	Op     string
	Reason string
	// Wait is how long the hub asked to wait; 0 when it did not.
	Wait time.Duration
	// Refused says that the hub surely has nothing of this upload. It is false where it is not known.
	Refused bool
	// Log is the beginning and the end of what the client wrote to its standard error, without the hub's secrets.
	Log string
	// Err is the cause, when there is one to ask with errors.Is.
	Err error
}

// Error is operation and reason.
func (e *Error) Error() string { return fmt.Sprintf("scan client %s: %s", e.Op, e.Reason) }

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// FailureClass says whether waiting can help.
func (e *Error) FailureClass() model.FailureClass { return e.Class }

// RetryAfter is how long the hub asked to wait; 0 when it did not.
func (e *Error) RetryAfter() time.Duration { return e.Wait }

// SurelyRefused reports whether the hub surely has nothing of this upload, so that another hub may get it.
func (e *Error) SurelyRefused() bool { return e.Refused }
