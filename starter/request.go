package starter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

const (
	// requestAtOnce is how many images of one request are observed at a time.
	requestAtOnce = 8
	// awaitEvery is how often Await asks the image.
	awaitEvery = 400 * time.Millisecond
)

// ScanRequest asks for scans of images, in the name of a person.
type ScanRequest struct {
	// References name the images: repository with tag or digest.
	References []string
	// Who asks. Their images are kept for 30 days after the last request.
	Who string
	// Domain is the set of scanners that reach the registries; empty means the default one.
	Domain string
	// Platform chooses the manifest where a reference names an index; empty means the scanner's own platform.
	Platform model.Platform
	// Credential is the name of the credential to pull with, as configured on the scanners; empty means their own choice.
	Credential string
	// Cluster is that of an operator of one cluster, which limits the credentials; empty for one of all clusters.
	Cluster string
	// Rescan asks for a new scan also of images that have a verdict.
	Rescan bool
}

// RequestedScan is what became of one reference of a ScanRequest.
type RequestedScan struct {
	Reference string
	// Image is the manifest that the reference names; the zero value when Err is a ResolveError.
	Image activities.ResolvedImage
	// Err is why no scan was asked for; nil when one was. A reference that cannot be resolved is a ResolveError.
	Err error
	// Again says that a new scan was asked for, so that an older answer is none.
	Again bool
	// LastStarted is when the last scan before this request began; zero when there was none.
	LastStarted time.Time
}

// Request scans images for a person, before all other work: it resolves the references, refers to each image with
// PriorityInteractive, and asks for a new scan of those that failed last, or of all when the request says so. It does not
// wait for the scans; Await does. One reference that cannot be scanned does not hold up the others. The answers stand in
// the order of the references; the error says that none could be resolved.
func (s Scans) Request(ctx context.Context, r ScanRequest) ([]RequestedScan, error) {
	if r.Domain == "" {
		r.Domain = workflows.DefaultDomain
	}
	requests := make([]activities.ResolveRequest, len(r.References))
	for n, reference := range r.References {
		requests[n] = activities.ResolveRequest{Reference: reference, Platform: r.Platform, ScannerPlatform: true, Credential: r.Credential}
		if r.Credential != "" {
			requests[n].From = r.Cluster
		}
	}
	resolved, err := Images(s).Resolve(ctx, r.Domain, requests)
	if err != nil {
		return nil, err
	}
	requested := make([]RequestedScan, len(resolved))
	var group errgroup.Group
	group.SetLimit(requestAtOnce)
	for n, each := range resolved {
		group.Go(func() error {
			requested[n] = s.request(ctx, r, r.References[n], each)
			return nil
		})
	}
	return requested, group.Wait()
}

// request asks for the scan of one image.
func (s Scans) request(ctx context.Context, r ScanRequest, reference string, found activities.Resolution) RequestedScan {
	requested := RequestedScan{Reference: reference}
	if found.Failure != nil {
		requested.Err = ResolveError{Class: found.Failure.Class, Reason: found.Failure.Reason}
		return requested
	}
	requested.Image = *found.Image
	requested.Err = s.observe(ctx, r, &requested)
	return requested
}

func (s Scans) observe(ctx context.Context, r ScanRequest, requested *RequestedScan) error {
	images, digest := Images(s), requested.Image.Digest
	before, err := images.View(ctx, digest)
	if err != nil && !errors.Is(err, ErrUnknownImage) {
		return err
	}
	now := time.Now()
	err = images.Observe(ctx, digest, workflows.Observe{
		Names: []model.Name{requested.Image.Name}, Platform: requested.Image.Platform, Priority: workflows.PriorityInteractive, Domain: r.Domain,
		Reference: workflows.Reference{
			Kind: workflows.ReferencePerson, ID: r.Who, Version: model.Version{Epoch: now.UnixNano()}, Until: now.Add(workflows.PersonReference),
		},
	})
	if err != nil {
		return err
	}
	requested.LastStarted = before.LastStarted
	requested.Again = r.Rescan && len(before.Verdicts) > 0 || before.Failure != nil
	if !requested.Again {
		return nil
	}
	return images.Rescan(ctx, digest, workflows.Rescan{Reason: "asked for by " + r.Who, Priority: workflows.PriorityInteractive})
}

// Await waits until a requested scan has a verdict, or until ctx ends: then the scan goes on without it. A scan that fails
// is a ScanFailedError. Show is called a few times a second with what the scan does; it may be nil.
func (s Scans) Await(ctx context.Context, r RequestedScan, show func(CurrentStep)) (workflows.ImageView, error) {
	if r.Err != nil {
		return workflows.ImageView{}, r.Err
	}
	ticker := time.NewTicker(awaitEvery)
	defer ticker.Stop()
	for {
		view, err := Images(s).View(ctx, r.Image.Digest)
		if err == nil {
			fresh := !r.Again || view.LastStarted.After(r.LastStarted)
			switch {
			case fresh && view.Failure != nil:
				return view, ScanFailedError{*view.Failure}
			case fresh && view.Status == model.StatusComplete:
				return view, nil
			}
			if show != nil {
				if now, err := s.CurrentStep(ctx, r.Image.Digest); err == nil && (now.Step != "" || now.WaitingFor != "") {
					show(now)
				}
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return view, fmt.Errorf("stopped waiting; the scan goes on without this command: %w", ctx.Err())
		}
	}
}
