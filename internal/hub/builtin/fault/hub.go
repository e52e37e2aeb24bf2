package fault

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/perceptor/perceptor/internal/hub/builtin"
	"github.com/perceptor/perceptor/internal/hub/builtin/jobs"
	"github.com/perceptor/perceptor/internal/hub/builtin/rest"
)

// Hub is a built-in hub with fault switches.
type Hub struct {
	*builtin.Hub
	switches *switchSet
	clock    jobs.Clock
	// scanTime is how long scans take that no switch slows.
	scanTime time.Duration
}

// Open opens a hub with switches to begin with. Everything else is as for builtin.Open; Serve and Handler misbehave.
func Open(o builtin.Options, initial Faults) (*Hub, error) {
	if err := initial.check(); err != nil {
		return nil, fmt.Errorf("fault switches: %w", err)
	}
	if o.Clock == nil {
		o.Clock = builtin.SystemClock{}
	}
	h := &Hub{switches: newSet(initial, o.Clock), clock: o.Clock, scanTime: o.ScanTime}
	o.Rehearsal, o.Around = h, h.around
	var err error
	h.Hub, err = builtin.Open(o)
	return h, err
}

// Stats are the hub's counters and the hits of the switches.
type Stats struct {
	builtin.Stats
	// FaultHits counts how often each switch hit since the start of the hub.
	FaultHits map[Name]uint64 `json:"fault_hits"`
}

// Stats reads the counters.
func (h *Hub) Stats() (Stats, error) {
	read, err := h.Hub.Stats()
	return Stats{Stats: read, FaultHits: h.switches.counts()}, err
}

var _ jobs.Rehearsal = (*Hub)(nil)

// Admit refuses an upload when the capacity's number of scans is in progress.
func (h *Hub) Admit(inProgress uint64) error {
	f, on := h.switches.look(Capacity)
	if !on || inProgress < uint64(f.Scans) { //nolint:gosec // checked to be at least 1
		return nil
	}
	h.switches.hit(Capacity, rest.ClassUpload)
	refusal := h.refusal(Capacity, f, http.StatusTooManyRequests)
	return &jobs.Refusal{Kind: jobs.Busy, Code: refusal.Code, Message: refusal.Message, RetryAfter: refusal.RetryAfter}
}

// Plan gives an accepted scan its time and its end, as the switches say.
func (h *Hub) Plan(scanName string) jobs.Plan {
	plan := jobs.Plan{Work: h.scanTime}
	if f, hit := h.switches.hit(Slow, rest.ClassUpload); hit {
		plan.Work = h.switches.drawFor(scanName, f)
	}
	_, plan.Lost = h.switches.hit(Lose, rest.ClassUpload)
	_, plan.Stuck = h.switches.hit(Stuck, rest.ClassUpload)
	return plan
}

// Held is how long stuck scans stay so.
func (h *Hub) Held() (left time.Duration, changed <-chan struct{}) { return h.switches.stuckFor() }

// refusal is the answer of a switch.
func (h *Hub) refusal(name Name, f Switch, status int) *rest.Error {
	message := fmt.Sprintf("the fault switch %s answers %d", name, status)
	return &rest.Error{Status: status, Code: string(name), Message: message, RetryAfter: f.retryHeader(h.clock.Now())}
}

// maxFaults bounds the JSON of switches.
const maxFaults = 64 << 10

// control serves what this package adds below /internal, and reports whether the request was for that.
func (h *Hub) control(w http.ResponseWriter, r *http.Request) bool {
	switch r.Method + " " + r.URL.Path {
	case "GET /internal/stats":
		h.Control(w, r, func() (any, error) { return h.Stats() })
	case "GET /internal/faults":
		h.Control(w, r, func() (any, error) { return h.switches.current(), nil })
	case "PUT /internal/faults":
		h.Control(w, r, func() (any, error) { return h.put(w, r) })
	default:
		return false
	}
	return true
}

// put sets all switches: those that the body leaves out are off afterwards.
func (h *Hub) put(w http.ResponseWriter, r *http.Request) (any, error) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxFaults))
	if err != nil {
		return nil, badRequest(fmt.Errorf("the switches cannot be read: %w", err))
	}
	f, err := Parse(text)
	if err != nil {
		return nil, badRequest(err)
	}
	h.switches.replace(f)
	h.Log().Warn("fault switches set", "switches", len(f.Switches))
	return h.switches.current(), nil
}

func badRequest(err error) error {
	return errors.Join(&rest.Error{Status: http.StatusBadRequest, Code: "faults", Message: err.Error()}, err)
}
