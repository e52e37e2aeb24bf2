package starter

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/api/serviceerror"

	"github.com/perceptor/perceptor/model"
)

var (
	// ErrUnknownImage says that nothing refers to the image now, and nothing did a short time ago.
	ErrUnknownImage = errors.New("no such image is known")
	// ErrUnknownCluster says that no perceiver has reported the cluster, or that it was forgotten.
	ErrUnknownCluster = errors.New("no such cluster is known")
	// ErrStateUnknown says that the workflow of a cluster or of a namespace is not running although others know of it. It was
	// terminated: what runs there is not known until it is back, which the workers see to within a minute.
	ErrStateUnknown = errors.New("cluster state unknown")
	// ErrNoPool says that no pool of hubs is running. It starts with the first worker or scan.
	ErrNoPool = errors.New("the pool of hubs is not running; run perceptor setup, or start a worker")
	// ErrBadCursor says that a cursor did not come from the list it was given to. Begin the list again without one.
	ErrBadCursor = errors.New("not a cursor of this list")
)

// errClosed stands for a workflow that has ended.
var errClosed = errors.New("it has ended")

// isNotFound reports whether there is no such workflow, or none that still runs.
func isNotFound(err error) bool {
	var missing *serviceerror.NotFound
	return errors.As(err, &missing) || errors.Is(err, errClosed)
}

// RejectedError says that a workflow or a step refused a request. Repeating the request does not help.
type RejectedError struct {
	// Reason is the workflow's own text, for a person.
	Reason string
}

// Error is the reason.
func (e RejectedError) Error() string { return e.Reason }

// OtherClusterError says that a perceiver watches another cluster than the one that has the name. Give the cluster another name, or
// adopt it when it replaces the other one.
type OtherClusterError struct {
	// Cluster is the name; Known and Given are the identities of the cluster that has it and of the perceiver's own. Given is empty
	// where the perceiver could not read it: then it may be the same cluster, and it helps to try again.
	Cluster, Known, Given string
}

// Error says what to do.
func (e *OtherClusterError) Error() string {
	if e.Given == "" {
		return fmt.Sprintf("cluster %q is known by identity %s, and this perceiver cannot read the identity of its own cluster", e.Cluster, e.Known)
	}
	return fmt.Sprintf("the name %q belongs to another cluster (identity %s, this one has %s); use another --cluster, or run: perceptor cluster adopt %s",
		e.Cluster, e.Known, e.Given, e.Cluster)
}

// RefusedError names the pods of a report that cannot be taken, and why. All other pods of the report were taken.
// Reporting the refused ones again does not help.
type RefusedError struct {
	Pods []RefusedPod
}

// RefusedPod is one pod that cannot be taken.
type RefusedPod struct {
	Key    model.PodKey
	Reason string
}

// Error names the first five.
func (e *RefusedError) Error() string {
	const shown = 5
	var reasons []string
	for _, p := range e.Pods[:min(len(e.Pods), shown)] {
		reasons = append(reasons, p.Reason)
	}
	text := fmt.Sprintf("%d pods were refused, all others taken: %s", len(e.Pods), strings.Join(reasons, "; "))
	if more := len(e.Pods) - shown; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}

// ResolveError says that a reference does not lead to an image that can be scanned.
type ResolveError struct {
	// Class says whether waiting can help.
	Class model.FailureClass
	// Reason is the registry's or the scanner's own text, for a person, without secrets.
	Reason string
}

// Error is the reason.
func (e ResolveError) Error() string { return e.Reason }

// ScanFailedError says that a scan ended without a verdict. Perceptor tries again by itself when Failure.NextTry is set.
type ScanFailedError struct {
	Failure model.Failure
}

// Error says why, at which step, in which attempt, and when the next one begins.
func (e ScanFailedError) Error() string {
	text := fmt.Sprintf("%s (%s, at %s, attempt %d)", e.Failure.Reason, e.Failure.Class, e.Failure.Step, e.Failure.Attempt)
	if !e.Failure.NextTry.IsZero() {
		text += "; next try " + e.Failure.NextTry.Local().Format(time.DateTime)
	}
	return text
}
