package apitest

import (
	"context"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/model"
)

// External is the part of a Memory for scanners of others.
type External struct {
	memory *Memory
	// Offers are the images for scanners of others; holders the scanners that have one, none once they have reported.
	Offers  []api.ExternalScan
	holders map[model.Digest]string
	// NoLogin is why the login of a hub cannot be read.
	NoLogin error
}

// NextImage implements api.Backend: it hands out the first of Offers.
func (e *External) NextImage(_ context.Context, scanner string) (*api.ExternalScan, error) {
	e.memory.lock.Lock()
	defer e.memory.lock.Unlock()
	if e.memory.Down != nil || len(e.Offers) == 0 {
		return nil, e.memory.Down
	}
	next := e.Offers[0]
	e.Offers = e.Offers[1:]
	e.holders[next.Digest] = scanner
	return &next, nil
}

// HandOut says that a scanner has an image.
func (e *External) HandOut(d model.Digest, scanner string) {
	e.memory.lock.Lock()
	defer e.memory.lock.Unlock()
	e.holders[d] = scanner
}

// HubLogin is the login of any hub.
func (e *External) HubLogin(_ context.Context, hub string) (model.UploadTarget, error) {
	return model.UploadTarget{Hub: hub, URL: "https://" + hub + ".example:8443", Username: "sysadmin", Password: "not-for-logs"}, e.NoLogin
}

// ReturnImage implements api.Backend.
func (e *External) ReturnImage(_ context.Context, scan *api.ExternalScan) error {
	e.memory.lock.Lock()
	defer e.memory.lock.Unlock()
	e.Offers = append([]api.ExternalScan{*scan}, e.Offers...)
	delete(e.holders, scan.Digest)
	return e.memory.Down
}

// FinishScan implements api.Backend.
func (e *External) FinishScan(_ context.Context, scanner string, d model.Digest, failed bool, reason string) (api.ExternalOutcome, error) {
	e.memory.lock.Lock()
	defer e.memory.lock.Unlock()
	if e.memory.Down != nil {
		return "", e.memory.Down
	}
	holder, handedOut := e.holders[d]
	switch {
	case !handedOut:
		return "", api.Failure{Class: model.NotFound, Reason: "no such image is known"}
	case holder == "":
		return api.ExternalNotWaited, nil
	case holder != scanner:
		return api.ExternalOther, nil
	}
	e.holders[d] = ""
	report := "finished " + string(d)
	if failed {
		report = "failed " + string(d) + ": " + reason
	}
	e.memory.Asked = append(e.memory.Asked, report)
	return api.ExternalAccepted, nil
}
