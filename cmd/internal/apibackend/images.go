package apibackend

import (
	"context"
	"errors"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

// Images reads a page of the list of images.
func (b *Backend) Images(ctx context.Context, q api.ImageQuery) (api.ImagePage, error) {
	if q.Cluster != "" {
		q.Limit = min(q.Limit, askedForOneCluster)
	}
	after, err := tokenOf(q.After)
	if err != nil {
		return api.ImagePage{}, explained(err)
	}
	rows, next, err := b.starter.Images.ListPage(ctx, starter.ImageFilter{Repository: q.Repository, Status: q.Status, OverallStatus: q.OverallStatus}, q.Limit, after)
	if err != nil {
		return api.ImagePage{}, explained(err)
	}
	page := api.ImagePage{Images: make([]api.ImageRow, 0, len(rows)), Next: cursor(next)}
	for _, each := range rows {
		page.Images = append(page.Images, api.ImageRow(each))
	}
	if q.Cluster == "" {
		return page, nil
	}
	page.Images, err = b.thoseOf(ctx, q.Cluster, page.Images)
	return page, err
}

// askedForOneCluster bounds how many images are asked for one page, askedAtOnce how many at a time.
const (
	askedForOneCluster = 200
	askedAtOnce        = 16
)

// thoseOf are the images that a cluster runs.
func (b *Backend) thoseOf(ctx context.Context, cluster string, rows []api.ImageRow) ([]api.ImageRow, error) {
	runs := make([]bool, len(rows))
	group, groupContext := errgroup.WithContext(ctx)
	group.SetLimit(askedAtOnce)
	for i, row := range rows {
		group.Go(func() (err error) {
			runs[i], err = b.Runs(groupContext, cluster, row.Digest)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	kept := []api.ImageRow{}
	for i, row := range rows {
		if runs[i] {
			kept = append(kept, row)
		}
	}
	return kept, nil
}

// Runs asks the image who refers to it; the join knows where the image names only some of its referrers.
func (b *Backend) Runs(ctx context.Context, cluster string, d model.Digest) (bool, error) {
	view, err := b.starter.Images.View(ctx, d)
	if errors.Is(err, starter.ErrUnknownImage) {
		return false, nil
	}
	if err != nil {
		return false, explained(err)
	}
	for _, each := range view.References {
		if each.Kind == workflows.ReferenceInventory && strings.HasPrefix(each.ID, cluster+"/") {
			return true, nil
		}
	}
	if view.Referrers <= len(view.References) {
		return false, nil
	}
	page, err := b.starter.Pods.Join(ctx, starter.JoinFilter{Cluster: cluster, Image: string(d), Limit: 1})
	if errors.Is(err, starter.ErrUnknownCluster) {
		return false, nil
	}
	return len(page.Rows) > 0, explained(err)
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
		Digest: view.Digest, Names: []api.Name{}, Status: view.Status, OverallStatus: view.OverallStatus,
		Verdicts: view.Verdicts, Failure: view.Failure, Scanning: view.Scanning,
	}
	for _, each := range view.Names {
		known.Names = append(known.Names, api.Name{Repository: each.Repository, Tag: each.Tag})
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
		References: []string{r.Reference}, Who: r.Who, Domain: r.Domain, Platform: r.Platform, Credential: r.Credential, Cluster: r.Cluster, Rescan: r.Rescan,
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
