package pool

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/internal/lease"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// register offers the query and the operator's updates. No handler blocks, so none can be open when the run ends.
func (p *hubPool) register(ctx workflow.Context) error {
	err := workflow.SetQueryHandlerWithOptions(ctx, workflows.QueryStatus, func() (workflows.HubPoolStatus, error) { return p.status(workflow.Now(ctx)), nil },
		workflow.QueryHandlerOptions{Description: "Every hub's limit, leases and state, and what each waiting scan waits for."})
	if err != nil {
		return fmt.Errorf("offer the query %s: %w", workflows.QueryStatus, err)
	}
	limit := func(_ workflow.Context, l workflows.HubLimit) (workflows.HubStatus, error) {
		return p.changeHub(l.Hub, func() { p.Book.SetLimit(l.Hub, l.Limit) }), nil
	}
	pause := func(_ workflow.Context, hub string) (workflows.HubStatus, error) {
		return p.changeHub(hub, func() { p.Book.Pause(hub) }), nil
	}
	resume := func(_ workflow.Context, hub string) (workflows.HubStatus, error) {
		return p.changeHub(hub, func() { p.Book.Resume(hub) }), nil
	}
	for _, u := range []struct {
		name, description string
		handler, validate any
	}{
		{workflows.UpdateLimit, "Change how many scans a hub may have at a time, until the configuration names another number.", limit, p.validateLimit},
		{workflows.UpdatePause, "Stop giving new scans to a hub; scans that run there go on.", pause, p.validatePause},
		{workflows.UpdateResume, "End an operator's pause of a hub.", resume, p.validateResume},
		{workflows.UpdateReset, "Free leases whose scans the hub has surely finished: those of one image, or all that are stuck.", p.resetLeases, p.validateReset},
	} {
		err := workflow.SetUpdateHandlerWithOptions(ctx, u.name, u.handler, workflow.UpdateHandlerOptions{Validator: u.validate, Description: u.description})
		if err != nil {
			return fmt.Errorf("offer the update %s: %w", u.name, err)
		}
	}
	return nil
}

func (p *hubPool) changeHub(hub string, change func()) workflows.HubStatus {
	change()
	p.changed = true
	if h := p.Book.Hub(hub); h != nil {
		return p.hubStatus(h)
	}
	return workflows.HubStatus{Name: hub}
}

func (p *hubPool) resetLeases(_ workflow.Context, r workflows.LeaseReset) (workflows.LeaseResetAnswer, error) {
	p.changed = true
	return workflows.LeaseResetAnswer{Freed: p.Book.Reset(r.Digest)}, nil
}

// checkName refuses a name that no hub has, and lists the names there are.
func (p *hubPool) checkName(hub string) error {
	if err := model.CheckHub(hub); err != nil {
		return err
	}
	if h := p.Book.Hub(hub); h != nil && !h.Removed {
		return nil
	}
	var names []string
	for i := range p.Book.Hubs {
		if !p.Book.Hubs[i].Removed {
			names = append(names, p.Book.Hubs[i].Name)
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("no hub is named %q: none is configured", hub)
	}
	return fmt.Errorf("no hub is named %q; there are: %s", hub, strings.Join(names, ", "))
}

func (p *hubPool) validateLimit(l workflows.HubLimit) error {
	if err := p.checkName(l.Hub); err != nil {
		return err
	}
	if err := l.Check(); err != nil {
		return err
	}
	switch {
	case p.Book.Hub(l.Hub).MaxLimit > 0 && l.Limit > p.Book.Hub(l.Hub).MaxLimit:
		return fmt.Errorf("the limit %d is too large: the configuration allows at most %d for %s (max-limit)", l.Limit, p.Book.Hub(l.Hub).MaxLimit, l.Hub)
	case l.Limit == p.Book.Hub(l.Hub).Limit:
		return fmt.Errorf("the limit of %s is %d already", l.Hub, l.Limit)
	}
	return nil
}

func (p *hubPool) validatePause(hub string) error {
	if err := p.checkName(hub); err != nil {
		return err
	}
	if p.Book.Hub(hub).Paused {
		return fmt.Errorf("%s is paused already", hub)
	}
	return nil
}

func (p *hubPool) validateResume(hub string) error {
	if err := p.checkName(hub); err != nil {
		return err
	}
	if !p.Book.Hub(hub).Paused {
		return fmt.Errorf("%s is not paused; a tripped hub becomes available by itself when it answers", hub)
	}
	return nil
}

func (p *hubPool) validateReset(r workflows.LeaseReset) error {
	if err := r.Check(); err != nil {
		return err
	}
	for i := range p.Book.Leases {
		l := &p.Book.Leases[i]
		switch {
		case r.Stuck && l.State == lease.Stuck, l.Digest == r.Digest && l.Drain != nil:
			return nil
		case l.Digest == r.Digest:
			return fmt.Errorf("the lease of %s is held by %s, which is still open: end that scan first", r.Digest, l.Holder)
		}
	}
	if r.Stuck {
		return fmt.Errorf("no lease is stuck")
	}
	return fmt.Errorf("no lease of %s is out", r.Digest)
}
