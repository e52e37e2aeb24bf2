package api

import (
	"context"
	"time"

	"github.com/perceptor/perceptor/model"
)

// Hubs knows what the hubs are given.
type Hubs interface {
	Hubs(ctx context.Context) (HubsView, error)
	LimitHub(ctx context.Context, hub string, limit int) (Hub, error)
	PauseHub(ctx context.Context, hub string) (Hub, error)
	ResumeHub(ctx context.Context, hub string) (Hub, error)
	// RetryHub lets a hub that is closed because it failed be asked again now.
	RetryHub(ctx context.Context, hub string) error
	// ResetLeases frees the lease of one image, or every stuck one when there is no digest.
	ResetLeases(ctx context.Context, d model.Digest) ([]model.Digest, error)
}

// HubsView is every hub, what is out and who waits.
type HubsView struct {
	Hubs    []Hub    `json:"hubs" nullable:"false"`
	Leases  []Lease  `json:"leases" nullable:"false"`
	Waiters []Waiter `json:"waiters" nullable:"false"`
	// ColdUntil is set while nothing is granted because the pool lost its state.
	ColdUntil    time.Time `json:"coldUntil,omitzero"`
	ColdWaitsFor string    `json:"coldWaitsFor,omitempty"`
	Problem      string    `json:"problem,omitempty" doc:"Why the newest list of hubs was refused."`
}

// Hub is one hub. InUse is the sum of Granted, Held, Draining and Stuck.
type Hub struct {
	Name       string `json:"name"`
	Limit      int    `json:"limit" doc:"How many of Perceptor's scans it may have at a time."`
	Configured int    `json:"configured" doc:"The limit in the configuration."`
	InUse      int    `json:"inUse"`
	Granted    int    `json:"granted"`
	Held       int    `json:"held"`
	Draining   int    `json:"draining"`
	Stuck      int    `json:"stuck"`
	Waiting    int    `json:"waiting" doc:"Scans in the queue that accept this hub."`
	Paused     bool   `json:"paused,omitempty"`
	Disabled   bool   `json:"disabled,omitempty"`
	Removed    bool   `json:"removed,omitempty"`
	// TrippedSince, Class, Reason and NextProbe say why the circuit breaker keeps scans away, and until when.
	TrippedSince time.Time          `json:"trippedSince,omitzero"`
	Class        model.FailureClass `json:"class,omitempty"`
	Reason       string             `json:"reason,omitempty"`
	NextProbe    time.Time          `json:"nextProbe,omitzero"`
}

// Lease is one unit of a hub in use.
type Lease struct {
	Digest    model.Digest `json:"digest"`
	Hub       string       `json:"hub"`
	State     string       `json:"state"`
	GrantedAt time.Time    `json:"grantedAt"`
}

// Waiter is one scan in the queue.
type Waiter struct {
	Digest   model.Digest `json:"digest"`
	Since    time.Time    `json:"since"`
	WaitsFor string       `json:"waitsFor"`
}
