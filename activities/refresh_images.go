package activities

import (
	"context"
	"time"

	"github.com/perceptor/perceptor/model"
)

// JudgedImage is an image and the verdict it has, as the list of images shows it: a moment old, good enough to decide
// which hub's answers are worth reading again.
type JudgedImage struct {
	Digest model.Digest `json:"digest"`
	// Version is the model.VersionKey of its verdict.
	Version string `json:"version"`
	// AsOf is the hub's time up to which the verdict holds.
	AsOf time.Time `json:"asOf"`
}

// Images are the workflows of the images, for a refresh.
type Images interface {
	// JudgedBy lists the images with a verdict of the hub on one of these versions.
	JudgedBy(ctx context.Context, hub string, versions []string) ([]JudgedImage, error)
	// JudgedShare lists the images with a verdict of the hub whose digests begin with the two hexadecimal digits.
	JudgedShare(ctx context.Context, hub, digits string) ([]JudgedImage, error)
	// Judge tells an image that a hub judges it otherwise now; false when no such image is known.
	Judge(ctx context.Context, d model.Digest, v model.Verdict) (bool, error)
	// RescanLost asks for a new scan when the image still shows a verdict that the hub no longer has.
	RescanLost(ctx context.Context, d model.Digest, hub, version string) (bool, error)
}

// RefreshSteps are the steps of a refresh that only speak to the images' workflows.
type RefreshSteps struct {
	images Images
}

// NewRefreshSteps speaks to the images through i.
func NewRefreshSteps(i Images) *RefreshSteps { return &RefreshSteps{images: i} }

// ListJudgedInput names versions of a hub, or a share of its images: two hexadecimal digits.
type ListJudgedInput struct {
	Hub      string   `json:"hub"`
	Versions []string `json:"versions,omitempty"`
	Share    string   `json:"share,omitempty"`
}

// ListJudgedResult lists the images.
type ListJudgedResult struct {
	Images []JudgedImage `json:"images,omitempty"`
}

// ListJudged lists the images that a hub has judged.
func (s *RefreshSteps) ListJudged(ctx context.Context, in ListJudgedInput) (ListJudgedResult, error) {
	list := func() ([]JudgedImage, error) { return s.images.JudgedBy(ctx, in.Hub, in.Versions) }
	if in.Share != "" {
		list = func() ([]JudgedImage, error) { return s.images.JudgedShare(ctx, in.Hub, in.Share) }
	}
	found, err := list()
	return ListJudgedResult{Images: found}, asApplicationError(err)
}

// TellJudgedInput is a hub's newer verdict on some images, or that it has none any more.
type NotifyJudgedInput struct {
	Digests []model.Digest `json:"digests"`
	// Verdict is nil when the hub has deleted the version.
	Verdict *model.Verdict `json:"verdict,omitempty"`
	Hub     string         `json:"hub"`
	// Version is the model.VersionKey that was read, or is gone.
	Version string `json:"version"`
}

// TellJudgedResult counts the images that took it; others are not known any more.
type NotifyJudgedResult struct {
	Notified int `json:"notified"`
}

// TellJudged brings images what a hub says of them now.
func (s *RefreshSteps) NotifyJudged(ctx context.Context, in NotifyJudgedInput) (NotifyJudgedResult, error) {
	var result NotifyJudgedResult
	for _, d := range in.Digests {
		tell := func() (bool, error) { return s.images.RescanLost(ctx, d, in.Hub, in.Version) }
		if in.Verdict != nil {
			tell = func() (bool, error) { return s.images.Judge(ctx, d, *in.Verdict) }
		}
		told, err := tell()
		if err != nil {
			return result, asApplicationError(err)
		}
		if told {
			result.Notified++
		}
	}
	return result, nil
}
