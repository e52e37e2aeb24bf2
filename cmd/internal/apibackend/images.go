package apibackend

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

// Images reads a page of the list of images.
func (b *Backend) Images(ctx context.Context, q api.ImageQuery) (api.ImagePage, error) {
	after, err := tokenOf(q.After)
	if err != nil {
		return api.ImagePage{}, explained(err)
	}
	rows, next, err := b.starter.ImagesPage(ctx, starter.ImageFilter{Repository: q.Repository, Status: q.Status, OverallStatus: q.OverallStatus}, q.Limit, after)
	if err != nil {
		return api.ImagePage{}, explained(err)
	}
	page := api.ImagePage{Images: make([]api.ImageRow, len(rows)), Next: cursor(next)}
	for i, each := range rows {
		page.Images[i] = api.ImageRow(each)
	}
	return page, nil
}

// CountImages counts images in a scan status.
func (b *Backend) CountImages(ctx context.Context, status model.ScanStatus) (int64, error) {
	n, err := b.starter.CountImages(ctx, starter.ImageFilter{Status: status})
	return n, explained(err)
}

// Image asks an image, and its scan when one is under way.
func (b *Backend) Image(ctx context.Context, d model.Digest) (api.Image, error) {
	view, err := b.starter.Image(ctx, d)
	if err != nil {
		return api.Image{}, explained(err)
	}
	known := api.Image{
		Digest: view.Digest, Names: append([]model.Name{}, view.Names...), Status: view.Status, OverallStatus: view.OverallStatus,
		Verdicts: view.Verdicts, Failure: view.Failure, Scanning: view.Scanning,
	}
	if !view.Scanning {
		return known, nil
	}
	if scan, err := b.starter.Scan(ctx, d); err == nil {
		known.WaitingFor = scan.WaitingFor
	}
	return known, nil
}

// Findings reads the findings of one of an image's verdicts from its hub.
func (b *Backend) Findings(ctx context.Context, d model.Digest, hub string) (api.Findings, error) {
	view, err := b.starter.Image(ctx, d)
	if err != nil {
		return api.Findings{}, explained(err)
	}
	i := slices.IndexFunc(view.Verdicts, func(v model.Verdict) bool { return hub == "" || v.Hub == hub })
	if i < 0 {
		return api.Findings{}, api.Failure{Class: model.NotFound, Reason: "the image has no such verdict; ask for the image to see why"}
	}
	findings, total, err := b.starter.Findings(ctx, view.Verdicts[i])
	if err != nil {
		return api.Findings{}, explained(err)
	}
	return api.Findings{Hub: view.Verdicts[i].Hub, Total: total, Findings: findings}, nil
}

// Scan resolves a reference and refers to what it names in somebody's name.
func (b *Backend) Scan(ctx context.Context, r api.ScanRequest) (api.ScanAccepted, error) {
	domain := r.Domain
	if domain == "" {
		domain = workflows.DefaultDomain
	}
	resolved, err := b.starter.Resolve(ctx, domain, []activities.ResolveRequest{{Reference: r.Reference, Platform: r.Platform, Credential: r.Credential}})
	if err != nil {
		return api.ScanAccepted{}, explained(err)
	}
	if f := resolved[0].Failure; f != nil {
		return api.ScanAccepted{}, api.Failure{Class: f.Class, Reason: f.Reason}
	}
	found := *resolved[0].Image
	before, err := b.starter.Image(ctx, found.Digest)
	if err != nil && !errors.Is(err, starter.ErrUnknownImage) {
		return api.ScanAccepted{}, explained(err)
	}
	now := time.Now()
	err = b.starter.Observe(ctx, found.Digest, workflows.Observe{
		Names: []model.Name{found.Name}, Platform: found.Platform, Priority: workflows.PriorityInteractive, Domain: domain,
		Reference: workflows.Reference{
			Kind: workflows.ReferencePerson, ID: r.Who, Version: model.Version{Epoch: now.UnixNano()}, Until: now.Add(workflows.PersonReference),
		},
	})
	if err == nil && (r.Rescan && len(before.Verdicts) > 0 || before.Failure != nil) {
		err = b.Rescan(ctx, found.Digest, "asked for by "+r.Who)
	}
	return api.ScanAccepted{Digest: found.Digest, Platform: found.Platform.String()}, explained(err)
}

// Rescan asks for a new scan of an image.
func (b *Backend) Rescan(ctx context.Context, d model.Digest, reason string) error {
	return explained(b.starter.Rescan(ctx, d, workflows.Rescan{Reason: reason, Priority: workflows.PriorityInteractive}))
}

// Prioritize moves an image that waits to the front of every queue.
func (b *Backend) Prioritize(ctx context.Context, d model.Digest) error {
	return explained(b.starter.Prioritize(ctx, d, workflows.Prioritize{Priority: workflows.PriorityInteractive}))
}
