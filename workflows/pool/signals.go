package pool

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/internal/lease"
	"github.com/perceptor/perceptor/workflows"
)

// openInbox says what is done with each message, in the order in which messages are taken. All that has arrived is taken before
// anything is decided, so that a burst costs one workflow task. A scan that gives back a lease and asks for another sends both at
// once, therefore releases come before requests.
func (p *hubPool) openInbox() {
	workflows.Receive(&p.inbox, workflows.SignalConfigure, func(ctx workflow.Context, c workflows.Configure) error {
		p.configure(c, workflow.Now(ctx).UTC())
		return nil
	})
	workflows.Receive(&p.inbox, workflows.SignalHubReport, func(ctx workflow.Context, r workflows.HubReport) error {
		p.receiveReport(r, workflow.Now(ctx).UTC())
		return nil
	})
	workflows.Receive(&p.inbox, workflows.SignalRelease, func(ctx workflow.Context, r workflows.Release) error {
		if r.Unfinished {
			if err := p.Book.RoomFor(r.Chain, true); err != nil {
				return err
			}
		}
		p.Book.Release(lease.Returned{
			Chain: r.Chain, Holder: r.Holder, Digest: r.Digest, Scan: r.Scan, Hub: r.Hub, Attempt: r.Attempt, Unfinished: r.Unfinished,
		}, workflow.Now(ctx).UTC())
		return nil
	})
	workflows.Receive(&p.inbox, workflows.SignalAcquire, func(ctx workflow.Context, a workflows.Acquire) error {
		return p.receiveRequest(a, workflow.Now(ctx).UTC())
	})
	workflows.Receive(&p.inbox, workflows.SignalConfirm, func(ctx workflow.Context, c workflows.Confirm) error {
		p.Book.Confirm(c.Chain, c.Attempt, workflow.Now(ctx).UTC())
		return nil
	})
}

func (p *hubPool) receiveRequest(a workflows.Acquire, now time.Time) error {
	r := lease.Request{
		Chain: a.Chain, Holder: a.Holder, Digest: a.Digest, Scan: a.Scan, Hubs: a.Hubs, Priority: a.Priority.Rank(),
	}
	if a.Held != nil && !a.Held.WaitFor {
		r.Held = &lease.Announced{Hub: a.Held.Hub, Attempt: a.Held.Attempt}
	}
	if err := p.Book.RoomFor(r.Chain, r.Held != nil); err != nil {
		return err
	}
	p.Book.Acquire(r, now)
	return nil
}

func bookHubs(hubs []workflows.HubConfig) []lease.Config {
	configs := make([]lease.Config, len(hubs))
	for i, h := range hubs {
		configs[i] = lease.Config{Name: h.Name, Limit: h.Limit, Settle: h.Settle, Disabled: h.Disabled, MaxLimit: h.MaxLimit}
	}
	return configs
}
