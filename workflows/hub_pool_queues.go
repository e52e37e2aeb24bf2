package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
)

// QueueState is whether the server hands out what is in a hub's queue.
type QueueState string

// The states.
const (
	QueueOpen    QueueState = "open"
	QueueStopped QueueState = "stopped"
)

// switchQueues stops the queues of closed hubs and opens the others, where that is not so already. A pool that lost its
// state does it for every hub once, since nobody else would open what the one before has stopped, but not before the hub
// has answered or failed to.
func (p *hubPool) switchQueues() {
	for i := range p.Book.Hubs {
		hub := p.Book.Hubs[i].Name
		h := p.ensureHealth(hub)
		wanted := QueueOpen
		if h.tripped() {
			wanted = QueueStopped
		}
		unasked := p.Book.Cold != nil && slices.Contains(p.Book.Cold.Unasked, hub)
		if h.Queue == wanted || p.switching[hub] || unasked {
			continue
		}
		p.switching[hub] = true
		future := workflow.ExecuteActivity(lightStep(p.steps, "the queue of "+hub+": "+string(wanted)), poolSteps.SwitchQueue,
			activities.SwitchQueueInput{Hub: hub, Open: wanted == QueueOpen})
		p.ask(future, func(ctx workflow.Context, f workflow.Future) { p.takeSwitch(ctx, f, hub, wanted) })
	}
}

// takeSwitch notes what the queue is now. A server that keeps no rates is not asked again: the breaker holds without them.
func (p *hubPool) takeSwitch(ctx workflow.Context, f workflow.Future, hub string, now QueueState) {
	delete(p.switching, hub)
	if err := f.Get(ctx, nil); err != nil {
		p.logger.Warn("hub queue", "hub", hub, "wanted", now, "error", err)
	}
	if h := p.health(hub); h != nil {
		h.Queue = now
	}
}
