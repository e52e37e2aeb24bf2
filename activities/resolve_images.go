package activities

import (
	"context"
	"runtime"
	"sync"

	"go.temporal.io/sdk/activity"

	"github.com/perceptor/perceptor/model"
)

// Resolver turns a reference into the manifest of one platform.
type Resolver interface {
	Resolve(ctx context.Context, reference string, platform model.Platform, credential string) (ResolvedImage, error)
}

// ResolvedImage is the manifest a reference leads to.
type ResolvedImage struct {
	Digest   model.Digest   `json:"digest"`
	Name     model.Name     `json:"name"`
	Platform model.Platform `json:"platform"`
	// Size is the sum of the compressed layers in bytes.
	Size int64 `json:"size,omitempty"`
}

// RegistrySteps are the short questions to registries.
type RegistrySteps struct {
	resolver Resolver
	resolved *resolvedImages
}

// NewRegistrySteps asks r.
func NewRegistrySteps(r Resolver) *RegistrySteps {
	return &RegistrySteps{resolver: r, resolved: newResolvedImages()}
}

// ResolveRequest is one reference and the platform it is to run on.
type ResolveRequest struct {
	// Reference is any form a person or a runtime writes: tag, index digest or manifest digest.
	Reference string `json:"reference"`
	// Platform picks the manifest out of an index; empty means the worker's own.
	Platform model.Platform `json:"platform"`
	// Credential is a credential's name.
	Credential string `json:"credential,omitempty"`
}

// ResolveImagesInput is a batch of requests.
type ResolveImagesInput struct {
	Requests []ResolveRequest `json:"requests"`
}

// Resolution is the answer to one request: an image or a failure.
type Resolution struct {
	Image   *ResolvedImage `json:"image,omitempty"`
	Failure *HubTrouble    `json:"failure,omitempty"`
}

// ResolveImagesResult has one answer for each request, in their order.
type ResolveImagesResult struct {
	Resolutions []Resolution `json:"resolutions"`
}

// resolveAtOnce bounds how many registries one batch asks at the same time.
const resolveAtOnce = 8

// ResolveImages finds the manifest digests behind references. One that cannot be resolved does not hold up the others.
func (s *RegistrySteps) ResolveImages(ctx context.Context, in ResolveImagesInput) (ResolveImagesResult, error) {
	beat := startPulse(ctx, Progress{Phase: "resolve", Total: int64(len(in.Requests))})
	defer beat.end()
	result := ResolveImagesResult{Resolutions: make([]Resolution, len(in.Requests))}
	var wait sync.WaitGroup
	places := make(chan struct{}, resolveAtOnce)
	for i, request := range in.Requests {
		wait.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			result.Resolutions[i] = s.resolve(ctx, request)
		})
	}
	wait.Wait()
	activity.GetLogger(ctx).Debug("images resolved", "count", len(in.Requests))
	return result, ctx.Err()
}

func (s *RegistrySteps) resolve(ctx context.Context, r ResolveRequest) Resolution {
	platform := r.Platform
	if platform.Architecture == "" {
		platform = model.Platform{OS: "linux", Architecture: runtime.GOARCH}
	}
	r.Platform = platform
	found, err := s.resolved.resolve(ctx, r, func() (ResolvedImage, error) {
		return s.resolver.Resolve(ctx, r.Reference, r.Platform, r.Credential)
	})
	if err != nil {
		return Resolution{Failure: troubleOf(err)}
	}
	return Resolution{Image: &found}
}
