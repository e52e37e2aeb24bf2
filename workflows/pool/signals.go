package pool

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/internal/lease"
	"github.com/perceptor/perceptor/workflows"
)

// openInbox opens the pool's signal channels.
func (p *hubPool) openInbox(ctx workflow.Context) {
	p.inbox = []workflow.ReceiveChannel{
		workflows.SignalConfigure.Channel(ctx), workflows.SignalHubReport.Channel(ctx), workflows.SignalRelease.Channel(ctx),
		workflows.SignalAcquire.Channel(ctx), workflows.SignalConfirm.Channel(ctx),
	}
}

// takeSignals takes all that has arrived before anything is decided, so that a burst costs one workflow task. A scan that
// gives back a lease and asks for another sends both at once, therefore releases come before requests.
func (p *hubPool) takeSignals(ctx workflow.Context) {
	now := workflow.Now(ctx).UTC()
	workflows.SignalConfigure.ReceivePending(ctx, func(c workflows.Configure) { p.configure(c) })
	workflows.SignalHubReport.ReceivePending(ctx, func(r workflows.HubReport) { p.receiveReport(r, now) })
	workflows.SignalRelease.ReceivePending(ctx, func(r workflows.Release) {
		p.Book.Release(lease.Returned{
			Chain: r.Chain, Holder: r.Holder, Digest: r.Digest, Scan: r.Scan, Hub: r.Hub, Attempt: r.Attempt, Unfinished: r.Unfinished,
		}, now)
	})
	workflows.SignalAcquire.ReceivePending(ctx, func(a workflows.Acquire) { p.receiveRequest(a, now) })
	workflows.SignalConfirm.ReceivePending(ctx, func(c workflows.Confirm) { p.Book.Confirm(c.Chain, c.Attempt, now) })
}

func (p *hubPool) receiveRequest(a workflows.Acquire, now time.Time) {
	if a.Chain == "" || a.Holder == "" || a.Digest == "" {
		p.logger.Warn("request for a lease ignored: it lacks chain, holder or digest", "holder", a.Holder, "chain", a.Chain, "digest", a.Digest)
		return
	}
	r := lease.Request{
		Chain: a.Chain, Holder: a.Holder, Digest: a.Digest, Scan: a.Scan, Hubs: a.Hubs, Priority: a.Priority.Rank(),
	}
	if a.Held != nil && a.Held.Hub != "" && !a.Held.WaitFor {
		r.Held = &lease.Announced{Hub: a.Held.Hub, Attempt: a.Held.Attempt}
	}
	p.Book.Acquire(r, now)
}

// configure replaces the list of hubs. A wrong list changes nothing; a signal cannot be refused, so the status says why.
func (p *hubPool) configure(c workflows.Configure) {
	p.Problem = ""
	if err := p.Book.Configure(bookHubs(c.Hubs)); err != nil {
		p.Problem = err.Error()
		p.logger.Error("new list of hubs refused", "error", err)
	}
}

func bookHubs(hubs []workflows.HubConfig) []lease.Config {
	configs := make([]lease.Config, len(hubs))
	for i, h := range hubs {
		configs[i] = lease.Config{Name: h.Name, Limit: h.Limit, Settle: h.Settle, Disabled: h.Disabled, MaxLimit: h.MaxLimit}
	}
	return configs
}
