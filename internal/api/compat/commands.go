package compat

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/perceptor/perceptor/internal/api"
)

// postCommand resets the circuit breakers. As in 2018 the key must be there, and its value does not matter.
func (e *endpoints) postCommand(r *api.Request) error {
	if refused := api.RequireAll(r.Grant); refused != nil {
		return refused
	}
	var body struct{ ResetCircuitBreaker *bool }
	if err := r.ReadJSON(&body); err != nil {
		return err
	}
	if body.ResetCircuitBreaker == nil {
		return api.Refuse(http.StatusBadRequest, `no command that is known; there is {"ResetCircuitBreaker": true}`)
	}
	hubs, err := e.server.Backend().Hubs(r.Context())
	if err != nil {
		return fmt.Errorf("read the hubs: %w", err)
	}
	for _, h := range hubs.Hubs {
		if h.TrippedSince.IsZero() || h.Removed {
			continue
		}
		if err := e.server.Backend().RetryHub(r.Context(), h.Name); err != nil {
			return fmt.Errorf("reset hub %s: %w", h.Name, err)
		}
	}
	return nil
}

// postConcurrentScanLimit sets the limit of the hub. Releases with this endpoint had one hub. With several hubs the number
// does not say which hub it is for.
func (e *endpoints) postConcurrentScanLimit(r *api.Request) error {
	if refused := api.RequireAll(r.Grant); refused != nil {
		return refused
	}
	var body struct{ Limit json.RawMessage }
	if err := r.ReadJSON(&body); err != nil {
		return err
	}
	var limit int
	if err := json.Unmarshal(body.Limit, &limit); err != nil || limit < 1 {
		return api.Refuse(http.StatusBadRequest, `Limit is %.40q; want a whole number of at least 1, as in {"Limit": 2}; to stop scans, pause the hub`, body.Limit)
	}
	hubs, err := e.server.Backend().Hubs(r.Context())
	if err != nil {
		return fmt.Errorf("read the hubs: %w", err)
	}
	present := slices.DeleteFunc(hubs.Hubs, func(h api.Hub) bool { return h.Removed })
	if len(present) != 1 {
		return api.Refuse(http.StatusBadRequest, "there are %d hubs (%s); set the limit of one by PUT /api/v1/hubs/{hub}/limit", len(present), hubNames(present))
	}
	if present[0].Limit == limit {
		return nil
	}
	_, err = e.server.Backend().LimitHub(r.Context(), present[0].Name, limit)
	return err
}

// hubNames names a few hubs.
func hubNames(hubs []api.Hub) string {
	const shown = 5
	names := make([]string, len(hubs))
	for i, h := range hubs {
		names[i] = h.Name
	}
	slices.Sort(names)
	if len(names) > shown {
		return strings.Join(names[:shown], ", ") + " and others"
	}
	return strings.Join(names, ", ")
}
