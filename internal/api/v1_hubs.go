package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/perceptor/perceptor/internal/api/access"
	"github.com/perceptor/perceptor/model"
)

type hubsOutput struct{ Body HubsView }

// HubInput is the path of everything about one hub.
type HubInput struct {
	Hub string `path:"hub" maxLength:"63"`
}

type hubOutput struct{ Body Hub }

type limitInput struct {
	HubInput
	Body struct {
		Limit int `json:"limit" minimum:"1" doc:"How many of Perceptor's scans the hub may have at a time."`
	}
}

type resetInput struct {
	Body struct {
		Digest string `json:"digest,omitempty" maxLength:"100" doc:"Free the lease of this image."`
		Stuck  bool   `json:"stuck,omitempty" doc:"Free every stuck lease."`
	}
}

type resetOutput struct {
	Body struct {
		Freed []model.Digest `json:"freed" nullable:"false"`
	}
}

func (v *v1) addHubs() {
	reader, operator, tags := []access.Scope{access.Reader}, []access.Scope{access.Operator}, []string{"hubs"}
	register(v, huma.Operation{
		OperationID: "list-hubs", Method: http.MethodGet, Path: "/api/v1/hubs", Tags: tags, Summary: "Every hub: limit, leases, who waits for what",
	}, reader, v.listHubs)
	register(v, huma.Operation{
		OperationID: "limit-hub", Method: http.MethodPut, Path: "/api/v1/hubs/{hub}/limit", Tags: tags,
		Summary: "Change how many scans a hub may have at a time", Description: "At once. Scans over a lowered limit finish. It holds until the configuration names another number.",
	}, operator, v.limitHub)
	register(v, huma.Operation{
		OperationID: "pause-hub", Method: http.MethodPost, Path: "/api/v1/hubs/{hub}/pause", Tags: tags, Summary: "Give a hub no more scans; those it has finish",
	}, operator, v.pauseHub)
	register(v, huma.Operation{
		OperationID: "resume-hub", Method: http.MethodPost, Path: "/api/v1/hubs/{hub}/resume", Tags: tags, Summary: "End a pause",
	}, operator, v.resumeHub)
	register(v, huma.Operation{
		OperationID: "retry-hub", Method: http.MethodPost, Path: "/api/v1/hubs/{hub}/retry", Tags: tags, DefaultStatus: http.StatusAccepted,
		Summary: "Ask a hub that is closed because it failed again now",
	}, operator, v.retryHub)
	register(v, huma.Operation{
		OperationID: "reset-leases", Method: http.MethodPost, Path: "/api/v1/leases/reset", Tags: tags,
		Summary:     "Free leases of which you know that the hub is done with them",
		Description: "The draining or stuck lease of one image, or every stuck one. Look at the hub first: freeing a scan that still runs lets the hub have more than its limit.",
	}, operator, v.resetLeases)
}

func (v *v1) listHubs(ctx context.Context, _ *struct{}) (*hubsOutput, error) {
	view, err := v.options.Backend.Hubs(ctx)
	if err != nil {
		return nil, err
	}
	return &hubsOutput{view}, nil
}

func (v *v1) limitHub(ctx context.Context, in *limitInput) (*hubOutput, error) {
	return hubAnswer(v.options.Backend.LimitHub(ctx, in.Hub, in.Body.Limit))
}

func (v *v1) pauseHub(ctx context.Context, in *HubInput) (*hubOutput, error) {
	return hubAnswer(v.options.Backend.PauseHub(ctx, in.Hub))
}

func (v *v1) resumeHub(ctx context.Context, in *HubInput) (*hubOutput, error) {
	return hubAnswer(v.options.Backend.ResumeHub(ctx, in.Hub))
}

func (v *v1) retryHub(ctx context.Context, in *HubInput) (*struct{}, error) {
	return nil, v.options.Backend.RetryHub(ctx, in.Hub)
}

func hubAnswer(h Hub, err error) (*hubOutput, error) {
	if err != nil {
		return nil, err
	}
	return &hubOutput{h}, nil
}

func (v *v1) resetLeases(ctx context.Context, in *resetInput) (*resetOutput, error) {
	if (in.Body.Digest == "") != in.Body.Stuck {
		return nil, refuse(http.StatusBadRequest, "name one image by its digest, or ask for all stuck leases, not both")
	}
	var d model.Digest
	if in.Body.Digest != "" {
		var err error
		if d, err = (DigestInput{in.Body.Digest}).parse(); err != nil {
			return nil, err
		}
	}
	freed, err := v.options.Backend.ResetLeases(ctx, d)
	if err != nil {
		return nil, err
	}
	var out resetOutput
	out.Body.Freed = append([]model.Digest{}, freed...)
	return &out, nil
}
