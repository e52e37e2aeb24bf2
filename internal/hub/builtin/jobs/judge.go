package jobs

import (
	"time"

	"github.com/perceptor/perceptor/internal/hub/builtin/store"
)

// Judge says what the vulnerability data and the rules say of the components of one version.
type Judge interface {
	// Judge says it of every component, and sums it up. An error of type DataError ends the scan as failed.
	Judge(tx *store.Tx, components []store.Component, now time.Time) ([]store.Judged, store.Summary, error)
	// Warm assesses components, so that a transaction that writes finds them in memory.
	Warm(tx *store.Tx, components []store.Component) error
	// Basis names what verdicts rest on at this moment: it changes with data, rules and the way of judging.
	Basis(tx *store.Tx, now time.Time) (string, error)
	// NextChange is when time alone changes verdicts; zero when it will not.
	NextChange(now time.Time) time.Time
}

// DataError says that stored data cannot be used, which trying again does not change.
type DataError struct{ Err error }

func (e *DataError) Error() string {
	return "the vulnerability data cannot be read; load them again: " + e.Err.Error()
}

func (e *DataError) Unwrap() error { return e.Err }
