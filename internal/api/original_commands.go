package api

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// postCommand resets the circuit breakers. As in the original the key's presence counts, not its value.
func (s *Server) postCommand(c *call) error {
	var body struct{ ResetCircuitBreaker *bool }
	if err := c.readJSON(&body); err != nil {
		return err
	}
	if body.ResetCircuitBreaker == nil {
		return refuse(http.StatusBadRequest, `no command that is known; there is {"ResetCircuitBreaker": true}`)
	}
	hubs, err := s.options.Backend.Hubs(c.Context())
	if err != nil {
		return fmt.Errorf("look for the hubs: %w", err)
	}
	for _, h := range hubs.Hubs {
		if h.TrippedSince.IsZero() || h.Removed {
			continue
		}
		if err := s.options.Backend.RetryHub(c.Context(), h.Name); err != nil {
			return fmt.Errorf("reset hub %s: %w", h.Name, err)
		}
	}
	return nil
}

// postConcurrentScanLimit sets the limit of the hub. The original that had this endpoint had one hub; with more, one
// number does not say which.
func (s *Server) postConcurrentScanLimit(c *call) error {
	var body struct{ Limit json.RawMessage }
	if err := c.readJSON(&body); err != nil {
		return err
	}
	var limit int
	if err := json.Unmarshal(body.Limit, &limit); err != nil || limit < 1 {
		return refuse(http.StatusBadRequest, `Limit is %.40q; want a whole number of at least 1, as in {"Limit": 2}; to stop scans, pause the hub`, body.Limit)
	}
	hubs, err := s.options.Backend.Hubs(c.Context())
	if err != nil {
		return fmt.Errorf("look for the hubs: %w", err)
	}
	var there []string
	for _, h := range hubs.Hubs {
		if !h.Removed {
			there = append(there, h.Name)
		}
	}
	if len(there) != 1 {
		return refuse(http.StatusBadRequest, "there are %d hubs (%s); set the limit of one by PUT /api/v1/hubs/{hub}/limit", len(there), names(there))
	}
	for _, h := range hubs.Hubs {
		if h.Name == there[0] && h.Limit == limit {
			return nil
		}
	}
	_, err = s.options.Backend.LimitHub(c.Context(), there[0], limit)
	return err
}
