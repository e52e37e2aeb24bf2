package starter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// Bounds of a question asked for a person: how long a worker may take to fetch it, and to answer it.
const (
	askStart = 20 * time.Second
	askLong  = time.Minute
)

// The steps asked for by name only.
var (
	registrySteps *activities.RegistrySteps
	hubSteps      *activities.HubSteps
)

// Resolve has the scanners of a domain find the manifests behind references: they, not this process, reach the registries.
func (s *Starter) Resolve(ctx context.Context, domain string, requests []activities.ResolveRequest) ([]activities.Resolution, error) {
	var result activities.ResolveImagesResult
	in := activities.ResolveImagesInput{Requests: requests}
	if err := s.ask(ctx, "resolve", workflows.RegistryQueue(domain), registrySteps.ResolveImages, in, &result); err != nil {
		return nil, fmt.Errorf("resolve images: %w", err)
	}
	if len(result.Resolutions) != len(requests) {
		return nil, fmt.Errorf("resolve images: %d answers to %d requests", len(result.Resolutions), len(requests))
	}
	return result.Resolutions, nil
}

// findingsPage and findingsAtMost bound what one question brings: a page is below the payload limit of 2 MiB.
const (
	findingsPage   = 500
	findingsAtMost = 20_000
)

// Findings reads the findings behind a verdict from its hub, at most 20,000, worst page by page in the hub's order. Total
// is how many there are.
func (s *Starter) Findings(ctx context.Context, v model.Verdict) (findings []model.Finding, total int, err error) {
	for {
		var page model.FindingsPage
		in := activities.FetchFindingsInput{Hub: v.Hub, VersionURL: v.VersionURL, Offset: len(findings), Limit: findingsPage}
		if err := s.askHub(ctx, v.Hub, "findings", hubSteps.FetchFindings, in, &page); err != nil {
			return nil, 0, fmt.Errorf("read findings from hub %s: %w", v.Hub, err)
		}
		findings, total = append(findings, page.Findings...), page.Total
		if len(page.Findings) == 0 || len(findings) >= min(total, findingsAtMost) {
			return findings, total, nil
		}
	}
}

// askHub is ask on a hub's queue. Of a hub that is known not to answer now it says so: its queue is stopped, whoever serves it.
func (s *Starter) askHub(ctx context.Context, hub, what string, step, in, answer any) error {
	err := s.ask(ctx, what, workflows.HubQueue(hub), step, in, answer)
	if _, late := errors.AsType[*temporal.TimeoutError](err); !late {
		return err
	}
	status, unknown := s.HubPool(ctx)
	if unknown != nil {
		return err
	}
	for _, h := range status.Hubs {
		if h.Name == hub && !h.TrippedSince.IsZero() {
			return fmt.Errorf("the hub has not answered since %s (%s) and is asked again at %s", h.TrippedSince.Local().Format(time.TimeOnly),
				h.Reason, h.NextProbe.Local().Format(time.TimeOnly))
		}
	}
	return err
}

// ask runs one step on a queue for an answer, without a workflow around it.
func (s *Starter) ask(ctx context.Context, what, queue string, step, in, answer any) error {
	handle, err := s.temporal.ExecuteActivity(ctx, client.StartActivityOptions{
		ID:                     what + "/" + uuid.NewString(),
		TaskQueue:              queue,
		ScheduleToStartTimeout: askStart,
		StartToCloseTimeout:    askLong,
		ScheduleToCloseTimeout: askStart + askLong,
		HeartbeatTimeout:       askLong,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, MaximumAttempts: 3},
	}, step, in)
	if err != nil {
		return fmt.Errorf("ask on queue %s: %w", queue, err)
	}
	err = handle.Get(ctx, answer)
	if _, ok := errors.AsType[*temporal.TimeoutError](err); ok {
		return fmt.Errorf("no worker on queue %q answered in time; is one running? %w", queue, err)
	}
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return RejectedError{app.Message()}
	}
	return err
}
