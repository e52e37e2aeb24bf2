package apitest

import (
	"context"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/model"
)

// NextImage implements api.Backend: it hands out the first of Offers.
func (m *Memory) NextImage(_ context.Context, scanner string) (*api.ExternalScan, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.Down != nil || len(m.Offers) == 0 {
		return nil, m.Down
	}
	next := m.Offers[0]
	m.Offers = m.Offers[1:]
	m.holders[next.Digest] = scanner
	return &next, nil
}

// HandOut says that a scanner has an image.
func (m *Memory) HandOut(d model.Digest, scanner string) {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.holders[d] = scanner
}

// HubLogin is the login of any hub.
func (m *Memory) HubLogin(_ context.Context, hub string) (model.UploadTarget, error) {
	return model.UploadTarget{Hub: hub, URL: "https://" + hub + ".example:8443", Username: "sysadmin", Password: "not-for-logs"}, m.NoLogin
}

// ReturnImage implements api.Backend.
func (m *Memory) ReturnImage(_ context.Context, scan *api.ExternalScan) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.Offers = append([]api.ExternalScan{*scan}, m.Offers...)
	delete(m.holders, scan.Digest)
	return m.Down
}

// FinishScan implements api.Backend.
func (m *Memory) FinishScan(_ context.Context, scanner string, d model.Digest, failed bool, reason string) (api.ExternalOutcome, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.Down != nil {
		return "", m.Down
	}
	holder, handedOut := m.holders[d]
	switch {
	case !handedOut:
		return "", api.Failure{Class: model.NotFound, Reason: "no such image is known"}
	case holder == "":
		return api.ExternalNotWaited, nil
	case holder != scanner:
		return api.ExternalOther, nil
	}
	m.holders[d] = ""
	report := "finished " + string(d)
	if failed {
		report = "failed " + string(d) + ": " + reason
	}
	m.Asked = append(m.Asked, report)
	return api.ExternalAccepted, nil
}
