package model

import "time"

// FailureClass says what kind of failure something is, and so whether waiting can help.
type FailureClass string

// The classes. Throttled and Transient pass with time; the others need somebody to change something.
const (
	Throttled    FailureClass = "throttled"
	Transient    FailureClass = "transient"
	Unauthorized FailureClass = "unauthorized"
	NotFound     FailureClass = "not-found"
	Unsupported  FailureClass = "unsupported"
	Invalid      FailureClass = "invalid"
	OutOfSpace   FailureClass = "out-of-space"
)

// Known reports whether it is one of the classes above.
func (c FailureClass) Known() bool {
	switch c {
	case Throttled, Transient, Unauthorized, NotFound, Unsupported, Invalid, OutOfSpace:
		return true
	default:
		return false
	}
}

// Temporary reports whether the same call may succeed later without anybody changing anything.
func (c FailureClass) Temporary() bool { return c == Throttled || c == Transient }

// Failure is why an image has no verdict, in words a person understands. It never holds a secret.
type Failure struct {
	Class  FailureClass `json:"class"`
	Reason string       `json:"reason"`
	// Step is the step of the scan that failed, such as "pull".
	Step string    `json:"step,omitempty"`
	At   time.Time `json:"at"`
	// Attempt counts the scans of this image that failed in a row, from 1.
	Attempt int `json:"attempt"`
	// NextTry is when the next scan starts; zero when nothing refers to the image any more.
	NextTry time.Time `json:"nextTry"`
}
