package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/internal/lease"
)

// openInbox opens the pool's signal channels.
func (p *hubPool) openInbox(ctx workflow.Context) {
	p.inbox = []workflow.ReceiveChannel{
		SignalConfigure.Channel(ctx), SignalHubReport.Channel(ctx), SignalRelease.Channel(ctx),
		SignalAcquire.Channel(ctx), SignalConfirm.Channel(ctx),
	}
}

// takeSignals takes all that has arrived before anything is decided, so that a burst costs one workflow task. A scan that
// gives back a lease and asks for another sends both at once, therefore releases come before requests.
func (p *hubPool) takeSignals(ctx workflow.Context) {
	now := workflow.Now(ctx).UTC()
	SignalConfigure.ReceivePending(ctx, func(c Configure) { p.configure(c) })
	SignalHubReport.ReceivePending(ctx, func(r HubReport) { p.report(r, now) })
	SignalRelease.ReceivePending(ctx, func(r Release) {
		p.Book.Release(lease.Returned{
			Chain: r.Chain, Holder: r.Holder, Digest: r.Digest, Scan: r.Scan, Hub: r.Hub, Attempt: r.Attempt, Unfinished: r.Unfinished,
		}, now)
	})
	SignalAcquire.ReceivePending(ctx, func(a Acquire) { p.acquire(a, now) })
	SignalConfirm.ReceivePending(ctx, func(c Confirm) { p.Book.Confirm(c.Chain, c.Attempt, now) })
}

func (p *hubPool) acquire(a Acquire, now time.Time) {
	if a.Chain == "" || a.Holder == "" || a.Digest == "" {
		p.logger.Warn("a request for a lease without chain, holder or digest is ignored", "holder", a.Holder, "chain", a.Chain, "digest", a.Digest)
		return
	}
	r := lease.Request{
		Chain: a.Chain, Holder: a.Holder, Digest: a.Digest, Scan: a.Scan, Hubs: a.Hubs, Priority: a.Priority.Rank(), Renew: a.Renew,
	}
	if a.Held != nil && a.Held.Hub != "" && !a.Held.WaitFor {
		r.Held = &lease.Announced{Hub: a.Held.Hub, Attempt: a.Held.Attempt}
	}
	p.Book.Acquire(r, now)
}

// configure replaces the list of hubs. A wrong list changes nothing; a signal cannot be refused, so the status says why.
func (p *hubPool) configure(c Configure) {
	p.Problem = ""
	if err := p.Book.Configure(bookHubs(c.Hubs)); err != nil {
		p.Problem = err.Error()
		p.logger.Error("the new list of hubs is wrong and was not taken", "error", err)
	}
}

func bookHubs(hubs []HubConfig) []lease.Config {
	configs := make([]lease.Config, len(hubs))
	for i, h := range hubs {
		configs[i] = lease.Config{Name: h.Name, Limit: h.Limit, Settle: h.Settle, Disabled: h.Disabled}
	}
	return configs
}
