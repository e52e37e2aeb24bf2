package model

import "time"

// TroubleKind is what a perceiver cannot do.
type TroubleKind string

// The kinds.
const (
	TroubleReadPods       TroubleKind = "read pods"
	TroubleReadNodes      TroubleKind = "read nodes"
	TroubleReadNamespaces TroubleKind = "read namespaces"
	TroubleReadTasks      TroubleKind = "read tasks"
	TroubleWrite          TroubleKind = "write marks"
)

var troubleKinds = []TroubleKind{TroubleReadPods, TroubleReadNodes, TroubleReadNamespaces, TroubleReadTasks, TroubleWrite}

// Trouble is something that a perceiver cannot do now.
type Trouble struct {
	Kind TroubleKind `json:"kind"`
	// Since is when it failed first; Count is how often it has failed since then.
	Since time.Time `json:"since"`
	Count int       `json:"count"`
	// Reason is the platform's own text of the last failure, for a person.
	Reason string `json:"reason"`
}

// PerceiverHealth is what a perceiver says of its own work.
type PerceiverHealth struct {
	// Troubles is everything that it cannot do now; empty when all works.
	Troubles []Trouble `json:"troubles,omitempty"`
	// Refused is how many writes have failed since the perceiver began.
	Refused int64 `json:"refused,omitempty"`
}
