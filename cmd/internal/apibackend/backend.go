package apibackend

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
)

// Backend is what the REST API needs, on top of a starter.
type Backend struct {
	starter *starter.Starter
	// scanners are the settings for scanners of others; nil where none take part.
	scanners *starter.ExternalScanner
}

var _ api.Backend = (*Backend)(nil)

// New uses s for everything.
func New(s *starter.Starter) *Backend { return &Backend{starter: s} }

// Ready reports why Temporal cannot be reached; nil when it can. A hub that is down does not matter here: what is reported
// meanwhile is kept and scanned later.
func (b *Backend) Ready(ctx context.Context) error {
	if err := b.starter.Ready(ctx); err != nil {
		return errors.Join(api.Failure{Class: model.Transient, Reason: "Temporal cannot be reached"}, err)
	}
	return nil
}

// Report sends a report of pods to the workflows.
func (b *Backend) Report(ctx context.Context, r model.PodReport) error {
	if err := b.checkVersion(ctx, r); err != nil {
		return err
	}
	return explained(b.starter.Pods.Report(ctx, r))
}

// versionTime bounds the question for the last snapshot: a report must not wait for workers, which may be down.
const versionTime = 2 * time.Second

// checkVersion refuses a report that the inventories would ignore, because the cluster has a newer snapshot. A cluster that does not
// answer is no reason: its inventories keep the report, and order it themselves.
func (b *Backend) checkVersion(ctx context.Context, r model.PodReport) error {
	asking, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	view, err := b.starter.Clusters.View(asking, r.Cluster)
	if err != nil || !r.Version.Before(view.Snapshot) {
		return nil //nolint:nilerr // as the comment says
	}
	reason := "the report is older than the last snapshot of cluster " + r.Cluster + ", so nothing of it is stored; report the present state with a newer version"
	if at := time.Unix(0, view.Snapshot.Epoch); at.After(time.Now().Add(time.Minute)) {
		reason = "the last snapshot of cluster " + r.Cluster + " came from a clock that was ahead (" + at.UTC().Format(time.RFC3339) +
			"), so nothing is stored until then; correct that clock, then run: perceptor cluster reset-version " + r.Cluster
	}
	return api.Stale{Reason: reason}
}

// explained gives an error a class and a reason where a client of the API may read them. Every other error is only logged.
func explained(err error) error {
	var already api.Failure
	if err == nil || errors.As(err, &already) {
		return err
	}
	var rejected starter.RejectedError
	var refused *starter.RefusedError
	var unresolved starter.ResolveError
	var late *temporal.TimeoutError
	var busy *serviceerror.ResourceExhausted
	fail := func(class model.FailureClass, reason string) error {
		return fmt.Errorf("%w (%w)", api.Failure{Class: class, Reason: reason}, err)
	}
	switch {
	case errors.As(err, &rejected):
		return fail(model.Invalid, rejected.Reason)
	case errors.As(err, &refused):
		return fail(model.Invalid, refused.Error())
	case errors.As(err, &unresolved):
		return api.Failure{Class: unresolved.Class, Reason: unresolved.Reason}
	case errors.Is(err, starter.ErrUnknownImage):
		return fail(model.NotFound, starter.ErrUnknownImage.Error())
	case errors.Is(err, starter.ErrStateUnknown):
		return fail(model.Transient, err.Error())
	case errors.Is(err, starter.ErrUnknownCluster):
		return fail(model.NotFound, starter.ErrUnknownCluster.Error())
	case errors.Is(err, starter.ErrBadCursor):
		return fail(model.Invalid, "the cursor does not belong to this list; begin without one")
	case errors.Is(err, starter.ErrNoPool):
		return fail(model.Transient, starter.ErrNoPool.Error())
	case errors.As(err, &late):
		return fail(model.Transient, "no worker answered in time; is one running?")
	case errors.As(err, &busy):
		return fail(model.Throttled, "Temporal is busy; send the request again in a few seconds")
	}
	return err
}

// cursor and tokenOf turn a server's token into text and back.
func cursor(token []byte) string { return base64.RawURLEncoding.EncodeToString(token) }

func tokenOf(text string) ([]byte, error) {
	token, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, starter.ErrBadCursor
	}
	return token, nil
}
