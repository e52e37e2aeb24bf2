package apibackend

import (
	"context"
	"errors"
	"fmt"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

// ServeScanners lets scanners of others take part. The name of the settings is set for each request.
func (b *Backend) ServeScanners(s starter.ExternalScanner) *Backend {
	b.scanners = &s
	return b
}

// as is the scanner with that name.
func (b *Backend) as(scanner string) (starter.ExternalScanner, error) {
	if b.scanners == nil {
		reason := "no scanners of others take part here; perceptor api --scanner-hubs names the hubs that they may use"
		return starter.ExternalScanner{}, api.Failure{Class: model.Unsupported, Reason: reason}
	}
	s := *b.scanners
	s.Name = scanner
	return s, nil
}

// NextImage takes an image out of the backlog for a scanner of others.
func (b *Backend) NextImage(ctx context.Context, scanner string) (*api.ExternalScan, error) {
	s, err := b.as(scanner)
	if err != nil {
		return nil, err
	}
	scan, err := b.starter.Externals.Next(ctx, s)
	if err != nil || scan == nil {
		return nil, explained(err)
	}
	return &api.ExternalScan{
		Digest: scan.Digest, Name: scan.Name, Hub: scan.Hub, HubNames: scan.HubNames, Priority: model.PriorityBackground.Rank() - scan.Priority.Rank(), Handle: scan,
	}, nil
}

// ReturnImage gives an image back.
func (b *Backend) ReturnImage(ctx context.Context, scan *api.ExternalScan) error {
	given, ok := scan.Handle.(*starter.ExternalScan)
	if !ok {
		return errors.New("give an image back: it did not come from here")
	}
	return b.starter.Externals.Return(ctx, *given)
}

// FinishScan stores the report of a scanner of others.
func (b *Backend) FinishScan(ctx context.Context, scanner string, d model.Digest, failed bool, reason string) (api.ExternalOutcome, error) {
	s, err := b.as(scanner)
	if err != nil {
		return "", err
	}
	outcome, err := b.starter.Externals.Report(ctx, s, d, workflows.ExternalReport{Failed: failed, Reason: model.Clip(reason, model.ReasonLength)})
	if err != nil {
		return "", fmt.Errorf("finish a scan: %w", explained(err))
	}
	return api.ExternalOutcome(outcome), nil
}
