package jobs

import (
	"errors"
	"fmt"
)

// Kind is why a call is refused.
type Kind int

// The kinds of refusals.
const (
	// Invalid means that the call itself is wrong.
	Invalid Kind = iota
	// Conflict means that something else stands against it.
	Conflict
	// Exists means that the object is there already.
	Exists
	// Busy means that the hub is full at the moment.
	Busy
	// Stopping means that the hub is about to end.
	Stopping
)

// Refusal is an answer that says what is wrong and what to do.
type Refusal struct {
	Kind Kind
	// Code names the reason for programs, such as "attempt".
	Code    string
	Message string
	// RetryAfter is when to try again, as the header of that name has it; empty when nothing is known.
	RetryAfter string
}

func (r *Refusal) Error() string { return r.Message }

func refuse(kind Kind, code, format string, arguments ...any) error {
	return &Refusal{Kind: kind, Code: code, Message: fmt.Sprintf(format, arguments...)}
}

// ErrGone says that the sender of an upload went away before the upload was complete.
var ErrGone = errors.New("the sender went away")
