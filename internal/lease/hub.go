package lease

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/perceptor/perceptor/model"
)

// LimitAtMost is the highest limit of a hub, and settleAtMost the longest time that a hub may take to show an upload.
const (
	LimitAtMost  = 10_000
	settleAtMost = time.Hour
)

// Config is what the configuration says of one hub.
type Config struct {
	Name string
	// Limit is the number of scans the hub may have at a time, at least 1.
	Limit int
	// Settle is how long the hub may take to show an upload that it has accepted.
	Settle time.Duration
	// Disabled keeps new scans away from the hub.
	Disabled bool
	// MaxLimit is the largest limit that an operator may set; 0 means any.
	MaxLimit int
}

// Hub is one hub's part of the book.
type Hub struct {
	Name string `json:"name"`
	// Limit is the limit in force.
	Limit int `json:"limit"`
	// Configured is the limit the configuration named last. Only another one changes the limit in force, so that a limit
	// set by an operator outlives the start of a worker.
	Configured int           `json:"configured"`
	MaxLimit   int           `json:"maxLimit,omitempty"`
	Settle     time.Duration `json:"settle,omitempty"`
	// Disabled comes from the configuration, Paused from an operator, Tripped from the circuit breaker. None lifts another.
	Disabled bool `json:"disabled,omitempty"`
	Paused   bool `json:"paused,omitempty"`
	Tripped  bool `json:"tripped,omitempty"`
	// Removed is set while a hub that is no longer configured still has leases.
	Removed bool `json:"removed,omitempty"`
	// Grants counts the grants: every tenth goes to the waiter that waited longest.
	Grants int64 `json:"grants,omitempty"`
}

// usable reports whether the hub may get new scans, its capacity aside.
func (h *Hub) usable() bool { return !h.Disabled && !h.Paused && !h.Tripped && !h.Removed }

// Validate finds everything that is wrong with a list of hubs.
func Validate(hubs []Config) error {
	if err := model.CheckSize("hubs", len(hubs), model.HubsAtMost); err != nil {
		return err
	}
	var problems []error
	seen := map[string]bool{}
	for i, h := range hubs {
		switch {
		case strings.TrimSpace(h.Name) == "":
			problems = append(problems, fmt.Errorf("hub %d of %d has no name; give it one", i+1, len(hubs)))
		case seen[h.Name]:
			problems = append(problems, fmt.Errorf("two hubs are named %q; names must differ", h.Name))
		}
		if err := model.CheckHub(h.Name); err != nil && strings.TrimSpace(h.Name) != "" {
			problems = append(problems, err)
		}
		if h.Limit > LimitAtMost {
			problems = append(problems, fmt.Errorf("hub %.40q has the limit %d; at most %d are possible", h.Name, h.Limit, LimitAtMost))
		}
		if h.Settle > settleAtMost {
			problems = append(problems, fmt.Errorf("hub %.40q has the settle time %s; at most %s is possible", h.Name, h.Settle, settleAtMost))
		}
		if h.Limit < 1 {
			problems = append(problems, fmt.Errorf("hub %q has the limit %d; it must be at least 1 (disable or pause a hub to keep scans away)", h.Name, h.Limit))
		}
		if h.Settle < 0 {
			problems = append(problems, fmt.Errorf("hub %q has the settle time %s; it cannot be negative", h.Name, h.Settle))
		}
		seen[h.Name] = true
	}
	return errors.Join(problems...)
}

// Configure replaces the list of hubs. A hub that is gone from it stays, without new grants, until its leases are freed.
// It changes nothing and answers Validate's error when the list is wrong.
func (b *Book) Configure(hubs []Config) error {
	if err := Validate(hubs); err != nil {
		return err
	}
	for i := range b.Hubs {
		b.Hubs[i].Removed = true
	}
	for _, c := range hubs {
		h := b.Hub(c.Name)
		if h == nil {
			h = b.addHub(c.Name)
			if b.Cold != nil {
				b.Cold.Unasked = append(b.Cold.Unasked, c.Name)
			}
		}
		if h.Configured != c.Limit {
			h.Limit, h.Configured = c.Limit, c.Limit
		}
		h.Settle, h.Disabled, h.Removed, h.MaxLimit = c.Settle, c.Disabled, false, c.MaxLimit
		if h.MaxLimit > 0 {
			h.Limit = min(h.Limit, max(h.MaxLimit, h.Configured)) // the bound is new, or lower than it was
		}
	}
	b.forgetRemoved()
	return nil
}

// Hub finds a hub by name, nil when there is none.
func (b *Book) Hub(name string) *Hub {
	i, found := slices.BinarySearchFunc(b.Hubs, name, func(h Hub, name string) int { return cmp.Compare(h.Name, name) })
	if !found {
		return nil
	}
	return &b.Hubs[i]
}

// addHub inserts an empty hub in the order of names.
func (b *Book) addHub(name string) *Hub {
	i, _ := slices.BinarySearchFunc(b.Hubs, name, func(h Hub, name string) int { return cmp.Compare(h.Name, name) })
	b.Hubs = slices.Insert(b.Hubs, i, Hub{Name: name})
	return &b.Hubs[i]
}

// forgetRemoved drops hubs that are neither configured nor in use.
func (b *Book) forgetRemoved() {
	b.Hubs = slices.DeleteFunc(b.Hubs, func(h Hub) bool { return h.Removed && !b.hasLease(h.Name) })
	if b.Cold != nil {
		b.Cold.Unasked = slices.DeleteFunc(b.Cold.Unasked, func(name string) bool { h := b.Hub(name); return h == nil || h.Removed })
	}
}

// hasLease reports whether any lease names the hub.
func (b *Book) hasLease(hub string) bool {
	return slices.ContainsFunc(b.Leases, func(l Lease) bool { return l.Hub == hub })
}

// SetLimit changes the limit in force until the configuration names another one. Lowered below the leases out, it only
// stops grants until enough of them are back.
func (b *Book) SetLimit(hub string, limit int) { b.changeHub(hub, func(h *Hub) { h.Limit = limit }) }

// Pause stops grants until Resume; scans with a lease continue.
func (b *Book) Pause(hub string) { b.changeHub(hub, func(h *Hub) { h.Paused = true }) }

// Resume ends a pause.
func (b *Book) Resume(hub string) { b.changeHub(hub, func(h *Hub) { h.Paused = false }) }

// Trip stops grants because the hub fails.
func (b *Book) Trip(hub string) { b.changeHub(hub, func(h *Hub) { h.Tripped = true }) }

// MakeAvailable ends what Trip began.
func (b *Book) MakeAvailable(hub string) { b.changeHub(hub, func(h *Hub) { h.Tripped = false }) }

func (b *Book) changeHub(hub string, to func(*Hub)) {
	if h := b.Hub(hub); h != nil {
		to(h)
	}
}
