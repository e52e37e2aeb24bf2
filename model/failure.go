package model

import "time"

// FailureClass is the kind of a failure. It says whether waiting can help.
type FailureClass string

// The classes. Throttled and Transient pass with time; for the others someone has to change something.
const (
	// Throttled is a server that asks for fewer requests.
	Throttled FailureClass = "throttled"
	// Transient is a server that cannot be reached or fails in itself, and every failure of unknown cause.
	Transient FailureClass = "transient"
	// Unauthorized is a credential that is missing or refused.
	Unauthorized FailureClass = "unauthorized"
	// NotFound is an image, a tag or a thing at the hub that does not exist.
	NotFound FailureClass = "not-found"
	// Unsupported is something that this server or this image's format does not offer.
	Unsupported FailureClass = "unsupported"
	// Invalid is data that breaks the rules of its format.
	Invalid FailureClass = "invalid"
	// OutOfSpace is a scanner host without enough free disk space.
	OutOfSpace FailureClass = "out-of-space"
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

// Temporary reports whether the same call may succeed later although nothing is changed.
func (c FailureClass) Temporary() bool { return c == Throttled || c == Transient }

// Failure is why an image has no verdict. It never holds a secret.
type Failure struct {
	Class FailureClass `json:"class"`
	// Reason is a sentence for a person.
	Reason string `json:"reason"`
	// Step is the step of the scan that failed, such as "pull".
	Step string    `json:"step,omitempty"`
	At   time.Time `json:"at"`
	// Attempt counts the scans of this image that failed in a row, from 1.
	Attempt int `json:"attempt"`
	// NextTry is when the next scan starts; zero when nothing refers to the image any more.
	NextTry time.Time `json:"nextTry"`
}
