package osv

import (
	"strings"
	"time"

	"github.com/perceptor/perceptor/model"
)

// Error says which record, package URL or archive was refused, which part of it, and what is wrong there.
type Error struct {
	Class model.FailureClass
	// Where names the record, its file, the package URL or the archive; a URL without its login.
	Where string
	// Field is the path of the offending part, such as "affected[0].ranges[1].events"; empty when it is the whole.
	Field string
	// Problem is what is wrong, in words.
	Problem string
	// Retry is how long the server asked to wait; zero when it said nothing.
	Retry time.Duration
	// Err is the cause, if another error is one.
	Err error
}

// Error is "where: field: problem: cause" without the parts that are empty.
func (e *Error) Error() string {
	parts := make([]string, 0, 4)
	for _, part := range []string{e.Where, e.Field, e.Problem} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	return strings.Join(parts, ": ")
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// FailureClass says whether waiting can help.
func (e *Error) FailureClass() model.FailureClass { return e.Class }

// RetryAfter is how long the server asked to wait; zero when it said nothing.
func (e *Error) RetryAfter() time.Duration { return e.Retry }

// invalid is the error of a part that breaks the rules.
func invalid(field, problem string) *Error {
	return &Error{Class: model.Invalid, Field: field, Problem: problem}
}
