package apibackend

import (
	"context"
	"slices"

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
	rows, next, err := b.starter.Images.ListPage(ctx, starter.ImageFilter{Repository: q.Repository, Status: q.Status, OverallStatus: q.OverallStatus}, q.Limit, after)
	if err != nil {
		return api.ImagePage{}, explained(err)
	}
	page := api.ImagePage{Images: make([]api.ImageRow, len(rows)), Next: cursor(next)}
	for i, each := range rows {
		page.Images[i] = api.ImageRow(each)
	}
	return page, nil
}

// CountImages counts images in a scan status and with an overall status.
func (b *Backend) CountImages(ctx context.Context, status model.ScanStatus, overall model.OverallStatus) (int64, error) {
	n, err := b.starter.Images.Count(ctx, starter.ImageFilter{Status: status, OverallStatus: overall})
	return n, explained(err)
}

// Image asks an image, and its scan when one is in progress.
func (b *Backend) Image(ctx context.Context, d model.Digest) (api.Image, error) {
	view, err := b.starter.Images.View(ctx, d)
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
	if scan, err := b.starter.Scans.View(ctx, d); err == nil {
		known.WaitingFor = scan.WaitingFor
	}
	return known, nil
}

// Findings reads the findings of one of an image's verdicts from its hub.
func (b *Backend) Findings(ctx context.Context, d model.Digest, hub string) (api.Findings, error) {
	view, err := b.starter.Images.View(ctx, d)
	if err != nil {
		return api.Findings{}, explained(err)
	}
	i := slices.IndexFunc(view.Verdicts, func(v model.Verdict) bool { return hub == "" || v.Hub == hub })
	if i < 0 {
		return api.Findings{}, api.Failure{Class: model.NotFound, Reason: "the image has no such verdict; ask for the image to see why"}
	}
	findings, total, err := b.starter.Images.Findings(ctx, view.Verdicts[i])
	if err != nil {
		return api.Findings{}, explained(err)
	}
	return api.Findings{Hub: view.Verdicts[i].Hub, Total: total, Findings: findings}, nil
}

// Scan asks for the scan of one image in the name of the caller, and does not wait for it.
func (b *Backend) Scan(ctx context.Context, r api.ScanRequest) (api.ScanAccepted, error) {
	requested, err := b.starter.Scans.Request(ctx, starter.ScanRequest{
		References: []string{r.Reference}, Who: r.Who, Domain: r.Domain, Platform: r.Platform, Credential: r.Credential, Rescan: r.Rescan,
	})
	if err != nil {
		return api.ScanAccepted{}, explained(err)
	}
	if err := requested[0].Err; err != nil {
		return api.ScanAccepted{}, explained(err)
	}
	image := requested[0].Image
	return api.ScanAccepted{Digest: image.Digest, Platform: image.Platform.String()}, nil
}

// Rescan asks for a new scan of an image.
func (b *Backend) Rescan(ctx context.Context, d model.Digest, reason string) error {
	return explained(b.starter.Images.Rescan(ctx, d, workflows.Rescan{Reason: reason, Priority: workflows.PriorityInteractive}))
}

// Prioritize moves an image that waits to the front of every queue.
func (b *Backend) Prioritize(ctx context.Context, d model.Digest) error {
	return explained(b.starter.Images.Prioritize(ctx, d, workflows.Prioritize{Priority: workflows.PriorityInteractive}))
}
