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
	// announceEvery and announceSlowly are how often a scan repeats what it wants of the pool: often at first, when a
	// lost signal costs most, then seldom, because every repetition stays in the history.
	announceEvery  = 30 * time.Second
	announceSlowly = 5 * time.Minute
	// announceOften is how long the quick rhythm lasts.
	announceOften = 2 * time.Minute
	// hubScanDeadline is how long a hub may answer "in progress" for one scan; time without an answer does not count.
	hubScanDeadline = 2 * time.Hour
	// quietRun is how long a run without events goes on before it continues as new, so that no run outlives many releases.
	quietRun = 7 * 24 * time.Hour
	// imageGrace is how long an image nobody refers to is remembered.
	imageGrace = 24 * time.Hour
	// unwantedAfter is how long a scan that waits is kept although nothing refers to its image any more.
	unwantedAfter = 10 * time.Minute
	// checkImages is how often an inventory looks after the images it runs, and renewReference how often it tells them again
	// that it runs them; referenceLasts is how long they believe that.
	// glanceAtImages is how often at most a snapshot has it look after those without a verdict.
	checkImages         = 30 * time.Minute
	checkUnscannedEvery = 5 * time.Minute
	renewReference      = 12 * time.Hour
	referenceLasts      = 24 * time.Hour
	// tellAgain is how often at most an inventory tells its cluster that its counts have changed.
	notifyClusterEvery = 30 * time.Second
	// inventoryGrace is how long an empty inventory is kept.
	inventoryGrace = 24 * time.Hour
	// PersonReference is how long an image somebody asked for by hand is kept.
	PersonReference = 30 * 24 * time.Hour
	// scanCheck is how often an Image asks after a scan that it did not start in its present run.
	scanCheck = 5 * time.Minute
)

// Priorities: everything that finishes a scan, and what a person asked for, goes before new work. On a hub's queue even
// the first question for a person comes after what finishes a scan, since that frees a lease.
const (
	priorityFirst  = 1
	prioritySoon   = 2
	priorityNormal = 3
)

// Priorities of whole workflows, for their own tasks and for steps that have no other. All wait for the pool; what is under way
// comes to an end, and frees a lease, before more is begun: so a thousand new images do not hold up the scans of the first.
// Every other workflow is priorityNormal, the server's own.
const (
	PoolPriority = priorityFirst
	scanPriority = prioritySoon
)

// lightStep is for steps that only speak to Temporal: fast, repeatable, retried until they succeed.
func lightStep(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           TaskQueue,
		StartToCloseTimeout: 30 * time.Second,
		Summary:             summary,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute},
	})
}

// localStep is for millisecond questions whose answer must be in the history.
func localStep(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		ScheduleToCloseTimeout: 30 * time.Second,
		StartToCloseTimeout:    5 * time.Second,
		Summary:                summary,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 100 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 5 * time.Second},
	})
}

// tellStep is for what the pool tells scans. The worker that decided takes it up itself where it has room; what it misses, the
// pool sends again in its own rhythm.
func notifyStep(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              TaskQueue,
		ScheduleToCloseTimeout: 30 * time.Second,
		StartToCloseTimeout:    10 * time.Second,
		Summary:                summary,
		Priority:               temporal.Priority{PriorityKey: priorityFirst},
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
	})
}

// registryStep is for a batch of short questions to registries. The scanners of a domain that are all away show by the step
// not being started.
func registryStep(ctx workflow.Context, domain, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              RegistryQueue(domain),
		ScheduleToStartTimeout: time.Minute,
		StartToCloseTimeout:    10 * time.Minute,
		HeartbeatTimeout:       batchHeartbeat,
		Summary:                summary,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumAttempts: 3},
	})
}

// ensureStep is for a batch of signals to images: longer than a light step, because a storm of new images is when it matters.
func ensureStep(ctx workflow.Context, summary string) workflow.Context {
	options := workflow.GetActivityOptions(lightStep(ctx, summary))
	options.StartToCloseTimeout, options.HeartbeatTimeout = 5*time.Minute, batchHeartbeat
	return workflow.WithActivityOptions(ctx, options)
}

// batchHeartbeat is when the worker of a batch counts as dead: everything else of its namespace waits for the batch.
const batchHeartbeat = 15 * time.Second

// writeStep is for a batch of pods. A perceiver that is away is noticed within a minute; the inventory itself tries again,
// with what is known then.
func writeStep(ctx workflow.Context, cluster, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              PerceiverQueue(cluster),
		ScheduleToStartTimeout: time.Minute,
		StartToCloseTimeout:    2 * time.Minute,
		HeartbeatTimeout:       batchHeartbeat,
		Summary:                summary,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumAttempts: 2},
	})
}

// hubStep is for a few calls to a hub. The step itself retries what passes and returns what does not, so the policy
// here only covers lost workers.
func hubStep(ctx workflow.Context, hub, summary string, priority int) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           HubQueue(hub),
		StartToCloseTimeout: 2 * time.Minute,
		HeartbeatTimeout:    hubHeartbeat,
		Summary:             summary,
		Priority:            temporal.Priority{PriorityKey: priority},
		RetryPolicy:         hubRetry(),
	})
}

// drainStep asks a hub about a scan whose holder is gone. It ends in any case before the pool takes the question for lost.
func drainStep(ctx workflow.Context, hub, summary string) workflow.Context {
	options := workflow.GetActivityOptions(hubStep(ctx, hub, summary, priorityFirst))
	options.ScheduleToCloseTimeout = 4 * time.Minute
	return workflow.WithActivityOptions(ctx, options)
}

// probeStep is the one call to a closed hub; the pool itself chooses when to make the next. A minute without a worker
// that takes it counts as no answer.
func probeStep(ctx workflow.Context, hub, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              HubControlQueue(hub),
		ScheduleToStartTimeout: time.Minute,
		StartToCloseTimeout:    30 * time.Second,
		Summary:                summary,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
	})
}

// hubLookUp is hubStep for the first question about an image: a hub that cannot be asked soon is asked after by way of the pool.
func hubLookUp(ctx workflow.Context, hub, summary string, p Priority) workflow.Context {
	priority := priorityNormal
	if p == PriorityInteractive {
		priority = prioritySoon
	}
	options := workflow.GetActivityOptions(hubStep(ctx, hub, summary, priority))
	options.ScheduleToStartTimeout = 30 * time.Second
	return workflow.WithActivityOptions(ctx, options)
}

// refreshFairness is the share of a hub's queue that refreshing has beside new look-ups, half each, however long either is.
const refreshFairness = "refresh"

// refreshStep is for what can wait: a hub whose queue is stopped is left to the next pass.
func refreshStep(ctx workflow.Context, hub, summary string) workflow.Context {
	options := workflow.GetActivityOptions(hubStep(ctx, hub, summary, priorityNormal))
	options.Priority.FairnessKey = refreshFairness
	options.ScheduleToStartTimeout = 5 * time.Minute
	return workflow.WithActivityOptions(ctx, options)
}

// hubAwait is for polling: "in progress" is a retry whose delay the step chooses, without limit. Every poll counts as an
// attempt, so a delay that grows with them would be a minute after the first poll that fails or is lost, at any time of a
// long scan: here it does not grow.
func hubAwait(ctx workflow.Context, hub, summary string) workflow.Context {
	options := workflow.GetActivityOptions(hubStep(ctx, hub, summary, priorityFirst))
	options.RetryPolicy.BackoffCoefficient = 1
	return workflow.WithActivityOptions(ctx, options)
}

// hubRetry is quick, because the delays that matter come from the step.
func hubRetry() *temporal.RetryPolicy {
	return &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute}
}

// pullStep is for the backlog: it may wait for days for a place, is shared out fairly, and gives up on a registry after a few tries.
func pullStep(ctx workflow.Context, domain, id, summary string, priority temporal.Priority) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		ActivityID:          id,
		TaskQueue:           PullQueue(domain),
		StartToCloseTimeout: 6 * time.Hour,
		HeartbeatTimeout:    15 * time.Second,
		WaitForCancellation: true,
		Summary:             summary,
		Priority:            priority,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: 2 * time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute, MaximumAttempts: 6},
	})
}

// hostStep is for a step on the host that pulled the image. A host that is gone shows by the task not being started.
func hostStep(ctx workflow.Context, host, summary string, longest time.Duration) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              HostQueue(host),
		ScheduleToStartTimeout: 2 * HostLiveness,
		StartToCloseTimeout:    longest,
		HeartbeatTimeout:       UploadHeartbeat,
		WaitForCancellation:    true,
		Summary:                summary,
		Priority:               temporal.Priority{PriorityKey: priorityFirst},
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second, MaximumAttempts: 4},
	})
}

// The longest a scan client may take for each of its two jobs; its own limits are shorter.
const (
	longestSBOM   = 2 * time.Hour
	longestUpload = time.Hour
)
