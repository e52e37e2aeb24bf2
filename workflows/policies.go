package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// Times that more than one place must agree on.
const (
	// UploadHeartbeat is the heartbeat timeout of an upload: how long a dead host may look alive.
	UploadHeartbeat = 10 * time.Second
	// hubHeartbeat is the heartbeat timeout of the calls to a hub: a lease should not be out for the two minutes that they
	// may take when their worker died.
	hubHeartbeat = 10 * time.Second
	// UploadFence is how long an upload may still be going on after its host or its holder was lost: a worker cut off
	// from the server notices at the latest after 1.6 heartbeat timeouts, so two are safe.
	UploadFence = 2 * UploadHeartbeat
	// HostLiveness is how long a live host may take to fetch a task from its own queue.
	HostLiveness = 30 * time.Second
	// QuietRun is how long a run without events goes on before it continues as new, so that no run outlives many releases.
	QuietRun = 7 * 24 * time.Hour
	// PersonReference is how long an image is kept that a person asked for.
	PersonReference = 30 * 24 * time.Hour
)

// The levels of tasks, as the server orders them. Everything that finishes a scan, or that a person asked for, goes before new
// work. On a hub's queue even the first question for a person comes after what finishes a scan, since that frees a lease.
const (
	LevelFirst  = 1
	LevelSoon   = 2
	LevelNormal = 3
)

// The levels of whole workflows, for their own tasks and for steps that have no other. All wait for the pool. A scan under way
// goes before a new one, and so frees its lease: a thousand new images do not hold up the scans of the first.
// Every other workflow is LevelNormal, the server's own.
const (
	PoolLevel = LevelFirst
	ScanLevel = LevelSoon
)

// LightStep is for steps that only speak to Temporal: fast, repeatable, retried until they succeed.
func LightStep(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           TaskQueue,
		StartToCloseTimeout: 30 * time.Second,
		Summary:             summary,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute},
	})
}

// LocalStep is for millisecond questions whose answer must be in the history.
func LocalStep(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		ScheduleToCloseTimeout: 30 * time.Second,
		StartToCloseTimeout:    5 * time.Second,
		Summary:                summary,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 100 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 5 * time.Second},
	})
}

// LookUpHereStep is for the first question about an image to a hub that the worker may ask itself. It is tried once.
func LookUpHereStep(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		ScheduleToCloseTimeout: 5 * time.Second,
		Summary:                summary,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
	})
}

// NotifyStep is for signals of the pool to scans. The worker that decided runs it itself where it has room. A signal that it
// misses, the pool sends again in its own rhythm.
func NotifyStep(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              TaskQueue,
		ScheduleToCloseTimeout: 30 * time.Second,
		StartToCloseTimeout:    10 * time.Second,
		Summary:                summary,
		Priority:               temporal.Priority{PriorityKey: LevelFirst},
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
	})
}

// RegistryStep is for a batch of short questions to registries. The scanners of a domain that are all away show by the step
// not being started.
func RegistryStep(ctx workflow.Context, domain, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              RegistryQueue(domain),
		ScheduleToStartTimeout: time.Minute,
		StartToCloseTimeout:    10 * time.Minute,
		HeartbeatTimeout:       batchHeartbeat,
		Summary:                summary,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumAttempts: 3},
	})
}

// EnsureStep is for a batch of signals to images: longer than a light step, because a storm of new images is when it matters.
func EnsureStep(ctx workflow.Context, summary string) workflow.Context {
	options := workflow.GetActivityOptions(LightStep(ctx, summary))
	options.StartToCloseTimeout, options.HeartbeatTimeout = 5*time.Minute, batchHeartbeat
	return workflow.WithActivityOptions(ctx, options)
}

// batchHeartbeat is when the worker of a batch counts as dead: everything else of its namespace waits for the batch.
const batchHeartbeat = 15 * time.Second

// writeHeartbeat is when a perceiver that has taken a batch of pods counts as dead or frozen.
const writeHeartbeat = 8 * time.Second

// WriteStep is for a batch of pods. A perceiver that is away is noticed within a minute; the inventory itself tries again,
// with what is known then. A leader that is frozen takes the tasks that its open polls were waiting for, one for each poll: the
// attempts after them go to the next leader.
func WriteStep(ctx workflow.Context, cluster, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              PerceiverQueue(cluster),
		ScheduleToStartTimeout: time.Minute,
		StartToCloseTimeout:    2 * time.Minute,
		HeartbeatTimeout:       writeHeartbeat,
		Summary:                summary,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 5 * time.Second, MaximumAttempts: 8},
	})
}

// HubStep is for a few calls to a hub. The step itself retries what passes and returns what does not, so the policy
// here only covers lost workers.
func HubStep(ctx workflow.Context, hub, summary string, priority int) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           HubQueue(hub),
		StartToCloseTimeout: 2 * time.Minute,
		HeartbeatTimeout:    hubHeartbeat,
		Summary:             summary,
		Priority:            temporal.Priority{PriorityKey: priority},
		RetryPolicy:         hubRetry(),
	})
}

// DrainStep asks a hub about a scan whose holder is gone. It ends in any case before the pool takes the question for lost.
func DrainStep(ctx workflow.Context, hub, summary string) workflow.Context {
	options := workflow.GetActivityOptions(HubStep(ctx, hub, summary, LevelFirst))
	options.ScheduleToCloseTimeout = 4 * time.Minute
	return workflow.WithActivityOptions(ctx, options)
}

// ProbeStep is the one call to a tripped hub; the pool itself chooses when to make the next. A minute without a worker
// that takes it counts as no answer.
func ProbeStep(ctx workflow.Context, hub, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              HubControlQueue(hub),
		ScheduleToStartTimeout: time.Minute,
		StartToCloseTimeout:    30 * time.Second,
		Summary:                summary,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
	})
}

// HubLookUpStep is HubStep for the first question about an image: a hub that cannot be asked soon is asked after by way of the pool.
func HubLookUpStep(ctx workflow.Context, hub, summary string, p Priority) workflow.Context {
	priority := LevelNormal
	if p == PriorityInteractive {
		priority = LevelSoon
	}
	options := workflow.GetActivityOptions(HubStep(ctx, hub, summary, priority))
	options.ScheduleToStartTimeout = 30 * time.Second
	return workflow.WithActivityOptions(ctx, options)
}

// refreshFairness is the share of a hub's queue that refreshing has beside new look-ups, half each, however long either is.
const refreshFairness = "refresh"

// RefreshStep is for what can wait: a hub whose queue is stopped is left to the next pass.
func RefreshStep(ctx workflow.Context, hub, summary string) workflow.Context {
	options := workflow.GetActivityOptions(HubStep(ctx, hub, summary, LevelNormal))
	options.Priority.FairnessKey = refreshFairness
	options.ScheduleToStartTimeout = 5 * time.Minute
	return workflow.WithActivityOptions(ctx, options)
}

// HubAwaitStep is for polling: "in progress" is a retry whose delay the step chooses, without limit. Every poll counts as an
// attempt, so a delay that grows with them would be a minute after the first poll that fails or is lost, at any time of a
// long scan: here it does not grow.
func HubAwaitStep(ctx workflow.Context, hub, summary string) workflow.Context {
	options := workflow.GetActivityOptions(HubStep(ctx, hub, summary, LevelFirst))
	options.RetryPolicy.BackoffCoefficient = 1
	return workflow.WithActivityOptions(ctx, options)
}

// WatchStep is for one look at all workflows. It is not repeated: the next look begins soon.
func WatchStep(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              TaskQueue,
		ScheduleToStartTimeout: time.Minute,
		StartToCloseTimeout:    2 * time.Minute,
		HeartbeatTimeout:       batchHeartbeat,
		Summary:                summary,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
	})
}

// hubRetry is quick, because the delays that matter come from the step.
func hubRetry() *temporal.RetryPolicy {
	return &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute}
}

// PullStep is for the backlog: it may wait for days for a workspace, is shared out fairly, and gives up on a registry, or on a scan
// client, after a few tries.
func PullStep(ctx workflow.Context, domain, id, summary string, priority temporal.Priority) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		ActivityID:          id,
		TaskQueue:           PullQueue(domain),
		StartToCloseTimeout: longestPull + longestSBOM,
		HeartbeatTimeout:    15 * time.Second,
		WaitForCancellation: true,
		Summary:             summary,
		Priority:            priority,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: 2 * time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute, MaximumAttempts: 6},
	})
}

// ExternalStep is for a scan by a scanner of others. The offer ends when none asks for work, and the scan when the scanner is silent
// for too long. Both are for the scan to handle: the server tries nothing again by itself.
func ExternalStep(ctx workflow.Context, domain, id, summary string, silence time.Duration, priority temporal.Priority) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		ActivityID:             id,
		TaskQueue:              ExternalQueue(domain),
		ScheduleToStartTimeout: ExternalOffer,
		StartToCloseTimeout:    silence,
		Summary:                summary,
		Priority:               priority,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
	})
}

// HostStep is for a step on the host that pulled the image. A host that is gone shows by the task not being started.
func HostStep(ctx workflow.Context, host, summary string, longest time.Duration) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              HostQueue(host),
		ScheduleToStartTimeout: 2 * HostLiveness,
		StartToCloseTimeout:    longest,
		HeartbeatTimeout:       UploadHeartbeat,
		WaitForCancellation:    true,
		Summary:                summary,
		Priority:               temporal.Priority{PriorityKey: LevelFirst},
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second, MaximumAttempts: 4},
	})
}

// The longest that the steps on a scanner host may take. The scan client's own limits are shorter.
const (
	longestPull   = 6 * time.Hour
	longestSBOM   = 2 * time.Hour
	LongestUpload = time.Hour
)

// ShouldContinueAsNew reports whether it is time for a new run: the history is long, or the run is old enough to outlive a release.
func ShouldContinueAsNew(ctx workflow.Context, began time.Time) bool {
	return workflow.GetInfo(ctx).GetContinueAsNewSuggested() || workflow.Now(ctx).Sub(began) >= QuietRun
}
