package v1

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/internal/api/access"
	"github.com/perceptor/perceptor/model"
)

// hubs are the endpoints for hubs and leases.
type hubs struct{ backend api.Hubs }

func addHubs(r *router) {
	h := hubs{r.server.Backend()}
	reader, operator, tags := []access.Scope{access.Reader}, []access.Scope{access.Operator}, []string{"hubs"}
	register(r, huma.Operation{
		OperationID: "list-hubs", Method: http.MethodGet, Path: "/api/v1/hubs", Tags: tags, Summary: "List the hubs, their leases, and the scans that wait",
	}, reader, h.list)
	register(r, huma.Operation{
		OperationID: "limit-hub", Method: http.MethodPut, Path: "/api/v1/hubs/{hub}/limit", Tags: tags,
		Summary:     "Change how many scans a hub may have at a time",
		Description: "The limit changes at once. Scans above a lower limit finish. The limit holds until the configuration names another number.",
	}, operator, h.limit)
	register(r, huma.Operation{
		OperationID: "pause-hub", Method: http.MethodPost, Path: "/api/v1/hubs/{hub}/pause", Tags: tags, Summary: "Give a hub no new scans; scans in progress finish",
	}, operator, h.pause)
	register(r, huma.Operation{
		OperationID: "resume-hub", Method: http.MethodPost, Path: "/api/v1/hubs/{hub}/resume", Tags: tags, Summary: "End a pause",
	}, operator, h.resume)
	register(r, huma.Operation{
		OperationID: "retry-hub", Method: http.MethodPost, Path: "/api/v1/hubs/{hub}/retry", Tags: tags, DefaultStatus: http.StatusAccepted,
		Summary: "Probe a tripped hub now",
	}, operator, h.retry)
	register(r, huma.Operation{
		OperationID: "reset-leases", Method: http.MethodPost, Path: "/api/v1/leases/reset", Tags: tags,
		Summary: "Release leases whose scans the hub has already finished",
		Description: "The draining or stuck lease of one image, or every stuck lease. Look at the hub first: " +
			"if the scan still runs there, the hub then gets more scans than its limit.",
	}, operator, h.resetLeases)
}

type hubsOutput struct{ Body api.HubsView }

func (h hubs) list(ctx context.Context, _ *struct{}) (*hubsOutput, error) {
	view, err := h.backend.Hubs(ctx)
	if err != nil {
		return nil, err
	}
	if limitOf(ctx) != "" {
		view.Leases, view.Waiters, view.Stuck, view.Hidden = []api.Lease{}, []api.Waiter{}, nil, true
	}
	return &hubsOutput{view}, nil
}

// HubInput is the path of everything about one hub.
type HubInput struct {
	Hub string `path:"hub" maxLength:"63"`
}

type hubOutput struct{ Body api.Hub }

func hubAnswer(h api.Hub, err error) (*hubOutput, error) {
	if err != nil {
		return nil, err
	}
	return &hubOutput{h}, nil
}

type limitInput struct {
	HubInput
	Body struct {
		Limit int `json:"limit" minimum:"1" maximum:"10000" doc:"How many scans of Perceptor the hub may have at a time."`
	}
}

func (h hubs) limit(ctx context.Context, in *limitInput) (*hubOutput, error) {
	if err := requireAll(ctx); err != nil {
		return nil, err
	}
	return hubAnswer(h.backend.LimitHub(ctx, in.Hub, in.Body.Limit))
}

func (h hubs) pause(ctx context.Context, in *HubInput) (*hubOutput, error) {
	if err := requireAll(ctx); err != nil {
		return nil, err
	}
	return hubAnswer(h.backend.PauseHub(ctx, in.Hub))
}

func (h hubs) resume(ctx context.Context, in *HubInput) (*hubOutput, error) {
	if err := requireAll(ctx); err != nil {
		return nil, err
	}
	return hubAnswer(h.backend.ResumeHub(ctx, in.Hub))
}

func (h hubs) retry(ctx context.Context, in *HubInput) (*struct{}, error) {
	if err := requireAll(ctx); err != nil {
		return nil, err
	}
	return nil, h.backend.RetryHub(ctx, in.Hub)
}

type resetInput struct {
	Body struct {
		Digest string `json:"digest,omitempty" maxLength:"100" doc:"Release the lease of this image."`
		Stuck  bool   `json:"stuck,omitempty" doc:"Release every stuck lease."`
	}
}

type resetOutput struct {
	Body struct {
		Freed []model.Digest `json:"freed" nullable:"false" doc:"The images whose leases were released."`
	}
}

func (h hubs) resetLeases(ctx context.Context, in *resetInput) (*resetOutput, error) {
	if err := requireAll(ctx); err != nil {
		return nil, err
	}
	if (in.Body.Digest == "") != in.Body.Stuck {
		return nil, api.Refuse(http.StatusBadRequest, "name one image by its digest, or ask for all stuck leases, not both")
	}
	var d model.Digest
	if in.Body.Digest != "" {
		var err error
		if d, err = (DigestInput{in.Body.Digest}).parse(); err != nil {
			return nil, err
		}
	}
	freed, err := h.backend.ResetLeases(ctx, d)
	if err != nil {
		return nil, err
	}
	var out resetOutput
	out.Body.Freed = append([]model.Digest{}, freed...)
	return &out, nil
}
