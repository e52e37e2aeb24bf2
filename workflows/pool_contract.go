package workflows

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/perceptor/perceptor/internal/inventory"
	"github.com/perceptor/perceptor/internal/lease"
	"github.com/perceptor/perceptor/model"
)

// Updates of HubPool by an operator, with what they take and answer.
const (
	// UpdateLimit takes a HubLimit and answers a HubStatus.
	UpdateLimit = "limit"
	// UpdatePause and UpdateResume take the name of a hub and answer a HubStatus.
	UpdatePause  = "pause"
	UpdateResume = "resume"
	// UpdateReset takes a LeaseReset and answers a LeaseResetAnswer.
	UpdateReset = "reset"
)

// HubLimit changes how many scans a hub may have at a time, until the configuration names another number.
type HubLimit struct {
	Hub   string `json:"hub"`
	Limit int    `json:"limit"`
}

// LeaseReset frees leases of which an operator knows that the hub is done with them: the draining or stuck lease of one
// digest, or every stuck one.
type LeaseReset struct {
	Digest model.Digest `json:"digest,omitempty"`
	Stuck  bool         `json:"stuck,omitempty"`
}

// LeaseResetAnswer names the images whose leases were freed.
type LeaseResetAnswer struct {
	Freed []model.Digest `json:"freed"`
}

// HubPoolInput starts a HubPool.
type HubPoolInput struct {
	// Fresh is set by a starter that knows that no scan can hold anything: the pool then grants at once.
	Fresh bool `json:"fresh,omitempty"`
	// Hubs are the configured hubs; other lists arrive by SignalConfigure. Generation and From are those of Configure.
	Hubs       []HubConfig `json:"hubs,omitempty"`
	Generation int64       `json:"generation,omitempty"`
	From       string      `json:"from,omitempty"`
	// Kept are an operator's changes of hubs, which the memo of the pool before had.
	Kept []KeptHub `json:"kept,omitempty"`
	// State is what the run before knew; only a pool that continues as new has one. It is packed: thousands of scans may wait.
	State inventory.Packed[HubPoolState] `json:"state,omitzero"`
}

// MemoKept is the memo of a HubPool with its KeptHubs. The server keeps the memo of a pool that was terminated.
const MemoKept = "kept"

// KeptHub is what an operator has changed of one hub.
type KeptHub struct {
	Hub    string `json:"hub"`
	Paused bool   `json:"paused,omitempty"`
	// Limit is the limit that an operator has set while the configuration named Configured; 0 when none was set.
	Limit      int `json:"limit,omitempty"`
	Configured int `json:"configured,omitempty"`
}

// HubPoolState is everything a pool carries from run to run.
type HubPoolState struct {
	Book *lease.Book `json:"book"`
	// Health is the circuit breakers, in the order of the hubs' first reports.
	Health []HubHealth `json:"health,omitempty"`
	// Kept are an operator's changes as the memo has them, also those of hubs that are not configured now.
	Kept []KeptHub `json:"kept,omitempty"`
	// Problem says why the newest list of hubs was refused; empty when it was not.
	Problem string `json:"problem,omitempty"`
	// List is the list of hubs in use, and Conflict another process that has another one.
	List     HubList          `json:"list,omitzero"`
	Conflict *HubListConflict `json:"conflict,omitempty"`
	// Rejected counts the messages that failed their checks and were dropped.
	Rejected model.Rejections `json:"rejected,omitzero"`
}

// HubHealth is the circuit breaker of one hub.
type HubHealth struct {
	Hub string `json:"hub"`
	// Failures counts transient failures in a row.
	Failures int `json:"failures,omitempty"`
	// TrippedSince is zero while the hub is used.
	TrippedSince time.Time `json:"trippedSince,omitzero"`
	// Class and Reason are the newest failure.
	Class  model.FailureClass `json:"class,omitempty"`
	Reason string             `json:"reason,omitempty"`
	// Probes counts the probes since the hub tripped, NextProbe is when the next one is due.
	Probes    int       `json:"probes,omitempty"`
	NextProbe time.Time `json:"nextProbe,omitzero"`
	// Waiting are the scans to notify when the hub is available again.
	Waiting []string `json:"waiting,omitempty"`
	// Queue is what the hub's queue was last made; empty while that is not known.
	Queue QueueState `json:"queue,omitempty"`
}

// Tripped reports whether the hub is not used at present.
func (h *HubHealth) Tripped() bool { return !h.TrippedSince.IsZero() }

// QueueState is whether the server hands out what is in a hub's queue.
type QueueState string

// The states.
const (
	QueueOpen    QueueState = "open"
	QueueStopped QueueState = "stopped"
)

// HubPoolStatus is the pool's answer to QueryStatus.
type HubPoolStatus struct {
	Hubs    []HubStatus    `json:"hubs"`
	Leases  []LeaseStatus  `json:"leases"`
	Waiters []WaiterStatus `json:"waiters"`
	// ColdUntil is set while the pool, having lost its state, waits for the scans to say what they hold.
	ColdUntil time.Time `json:"coldUntil,omitzero"`
	// ColdWaitsFor says what it waits for.
	ColdWaitsFor string `json:"coldWaitsFor,omitempty"`
	// Problem says why the newest list of hubs was refused.
	Problem string `json:"problem,omitempty"`
	// List is the list of hubs in use, and Conflict another process that has another one; nil when none has lately.
	List     HubList          `json:"list,omitzero"`
	Conflict *HubListConflict `json:"conflict,omitempty"`
	// LeaseCount and WaiterCount count all leases and waiters. Leases and Waiters list the first 500 of each.
	LeaseCount  int `json:"leaseCount"`
	WaiterCount int `json:"waiterCount"`
	// Rejected counts the messages to the pool that failed their checks and were dropped.
	Rejected model.Rejections `json:"rejected,omitzero"`
}

// HubStatus is one hub as the pool sees it. InUse is the sum of Granted, Held, Draining and Stuck.
type HubStatus struct {
	Name       string `json:"name"`
	Limit      int    `json:"limit"`
	Configured int    `json:"configured"`
	InUse      int    `json:"inUse"`
	Granted    int    `json:"granted"`
	Held       int    `json:"held"`
	Draining   int    `json:"draining"`
	Stuck      int    `json:"stuck"`
	// Waiting counts the scans in the queue that accept this hub.
	Waiting  int  `json:"waiting"`
	Paused   bool `json:"paused,omitempty"`
	Disabled bool `json:"disabled,omitempty"`
	Removed  bool `json:"removed,omitempty"`
	// TrippedSince, Class, Reason and NextProbe say why the circuit breaker keeps scans away, and until when.
	TrippedSince time.Time          `json:"trippedSince,omitzero"`
	Class        model.FailureClass `json:"class,omitempty"`
	Reason       string             `json:"reason,omitempty"`
	NextProbe    time.Time          `json:"nextProbe,omitzero"`
}

// LeaseState is how far a lease is: granted, held, draining or stuck.
type LeaseState string

// LeaseStatus is one unit of a hub in use.
type LeaseStatus struct {
	Holder    string          `json:"holder"`
	Digest    model.Digest    `json:"digest"`
	Hub       string          `json:"hub"`
	State     LeaseState      `json:"state"`
	Priority  Priority        `json:"priority"`
	Attempt   model.AttemptID `json:"attempt"`
	GrantedAt time.Time       `json:"grantedAt"`
	// DrainingSince is set when the holder is gone and the hub is being asked.
	DrainingSince time.Time `json:"drainingSince,omitzero"`
}

// WaiterStatus is one scan in the queue and what it waits for.
type WaiterStatus struct {
	Holder   string       `json:"holder"`
	Digest   model.Digest `json:"digest"`
	Priority Priority     `json:"priority"`
	Since    time.Time    `json:"since"`
	// Hubs are the acceptable hubs; empty means any.
	Hubs []string `json:"hubs,omitempty"`
	// WaitsFor is never empty.
	WaitsFor string `json:"waitsFor"`
}

// Acquire asks for a lease or announces one.
type Acquire struct {
	// Holder is the workflow id to answer to.
	Holder string `json:"holder"`
	// Chain is the first run id of the holder's chain of runs: the key of its lease.
	Chain  string       `json:"chain"`
	Digest model.Digest `json:"digest"`
	// Scan is the name of the scan at the hub, which the pool asks for when the holder is gone; empty means the digest in hexadecimal.
	Scan string `json:"scan,omitempty"`
	// Hubs are the acceptable hubs; empty means any.
	Hubs     []string `json:"hubs,omitempty"`
	Priority Priority `json:"priority"`
	// Held is set by a holder that announces its lease: the grant it works under.
	Held *Grant `json:"held,omitempty"`
}

// Grant is the pool's answer to Acquire.
type Grant struct {
	// Chain repeats the key, so that a late grant for an earlier chain under the same workflow id is not taken.
	Chain string `json:"chain"`
	Hub   string `json:"hub"`
	// Attempt orders the uploads of one image over all its leases.
	Attempt model.AttemptID `json:"attempt"`
	// A scan that waits takes only an attempt newer than every one it has had: an older one is a grant it has given back,
	// sent again before the pool knew. To a grant it no longer wants it answers with the release it gave before.
	//
	// WaitFor is set instead of an attempt when Hub already works for another chain on this image:
	// look there instead of uploading. The wait in the queue goes on.
	WaitFor bool `json:"waitFor,omitempty"`
}

// Confirm says that the grant of this attempt has arrived.
type Confirm struct {
	Chain   string          `json:"chain"`
	Attempt model.AttemptID `json:"attempt"`
}

// Release gives a lease back. With nothing but Chain it gives up whatever the chain has, its place in the queue too; it
// is also what a scan that neither holds nor waits answers to SignalAnnounce.
type Release struct {
	Chain string `json:"chain"`
	// Attempt is the grant given back: without it, a release that arrives late ends a newer lease of the same chain.
	Attempt model.AttemptID `json:"attempt,omitzero"`
	// Holder, Digest, Scan and Hub repeat what the lease is about, so that a pool that lost its state can let it drain.
	Holder string       `json:"holder,omitempty"`
	Digest model.Digest `json:"digest,omitempty"`
	Scan   string       `json:"scan,omitempty"`
	Hub    string       `json:"hub,omitempty"`
	// Unfinished leaves the lease out until the pool itself has seen that the hub is done: the holder cannot know.
	Unfinished bool `json:"unfinished,omitempty"`
}

// HubReport is one experience with a hub.
type HubReport struct {
	Holder string `json:"holder"`
	Hub    string `json:"hub"`
	// Class is empty for a success.
	Class model.FailureClass `json:"class,omitempty"`
	// Reason is what the hub's failure said, without secrets.
	Reason string `json:"reason,omitempty"`
	// RetryAfter is what the hub asked for, 0 when it did not.
	RetryAfter time.Duration `json:"retryAfter,omitempty"`
	// Waiting says that the holder waits for SignalHubAvailable before it asks the hub again. The answer comes at once when the
	// hub is not tripped.
	Waiting bool `json:"waiting,omitempty"`
}

// HubAvailable says that the hub may be asked again.
type HubAvailable struct {
	Hub string `json:"hub"`
}

// Unwanted says to a scan that its image is not wanted.
type Unwanted struct{}

// Announce asks a scan to send its Acquire again, with Held if it holds a lease; a scan that neither holds nor waits
// answers with an empty Release, or the pool waits for it in vain.
type Announce struct{}

// Configure is the whole list of hubs that one process has. It replaces the list in use when its generation is newer. In the same
// generation it does so when it comes from perceptor setup, from the process that the list in use came from, or from a process whose
// configuration has changed from exactly the list in use. It does so too when no process has confirmed the list in use for a while. Any
// other list is a conflict: nothing changes, and the status shows it.
type Configure struct {
	Hubs []HubConfig `json:"hubs"`
	// Generation is hubs-generation of the configuration.
	Generation int64 `json:"generation,omitempty"`
	// From names the process: its host and its configuration file. It is the same after a restart.
	From string `json:"from,omitempty"`
	// Replaces is the ListHash of the list that the process had before its configuration changed; empty at its start.
	Replaces string `json:"replaces,omitempty"`
	// Setup says that an operator sends the list, by perceptor setup: it is used whatever the generation in use is.
	Setup bool `json:"setup,omitempty"`
}

// HubList is the list of hubs in use.
type HubList struct {
	// Hash is the ListHash; empty while no list has arrived.
	Hash       string `json:"hash,omitempty"`
	Generation int64  `json:"generation,omitempty"`
	// From is the process that sent it first, at Since. Confirmed is when a process last said that it has the same.
	From      string    `json:"from,omitempty"`
	Since     time.Time `json:"since,omitzero"`
	Confirmed time.Time `json:"confirmed,omitzero"`
}

// HubListConflict is a process with another list of hubs than the one in use.
type HubListConflict struct {
	From       string `json:"from"`
	Generation int64  `json:"generation,omitempty"`
	// Hubs are the names in its list, at most 20.
	Hubs []string `json:"hubs"`
	// Since and Last are when it said so first and last, and Count is how often.
	Since time.Time `json:"since"`
	Last  time.Time `json:"last"`
	Count int       `json:"count"`
}

const (
	// ListConfirmed is how often at least some process with the list in use says so, and a process with another list repeats that.
	ListConfirmed = time.Minute
	// ListAbandoned is after which time without such a word the list in use belongs to no process any more.
	ListAbandoned = 3 * time.Minute
)

// ListHash tells lists of hubs apart, whatever their order.
func ListHash(hubs []HubConfig) string {
	sorted := slices.SortedFunc(slices.Values(hubs), func(a, b HubConfig) int { return strings.Compare(a.Name, b.Name) })
	//workflowcheck:ignore a list of these is written in one way only: there is no map in it
	text, err := json.Marshal(sorted)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:12])
}

// HubConfig is what the pool needs to know of one hub; it holds no address and no secret.
type HubConfig struct {
	Name string `json:"name"`
	// Limit is the number of Perceptor's scans the hub may have at a time, at least 1.
	Limit int `json:"limit"`
	// Settle is how long the hub may take to show an upload it has accepted: 0 for the built-in one.
	Settle time.Duration `json:"settle,omitempty"`
	// Disabled keeps the hub from getting new scans.
	Disabled bool `json:"disabled,omitempty"`
	// MaxLimit is the largest limit that an operator may set; 0 means any.
	MaxLimit int `json:"maxLimit,omitempty"`
}
