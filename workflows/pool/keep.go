package pool

import (
	"cmp"
	"fmt"
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/internal/lease"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// checkedKept leaves out what cannot have been an operator's change.
func checkedKept(kept []workflows.KeptHub) []workflows.KeptHub {
	kept = slices.Clone(kept[:min(len(kept), model.HubsAtMost)])
	return slices.DeleteFunc(kept, func(k workflows.KeptHub) bool {
		return model.CheckHub(k.Hub) != nil || k.Limit < 0 || k.Limit > lease.LimitAtMost
	})
}

// restore gives a hub that is new to this pool what an operator has changed of it before.
func (p *hubPool) restore(hub string) {
	for _, k := range p.Kept {
		if k.Hub != hub {
			continue
		}
		if k.Paused {
			p.Book.Pause(hub)
		}
		// A configuration that names another limit since then has the newer word.
		if k.Limit > 0 && p.Book.Hub(hub).Configured == k.Configured {
			p.Book.SetLimit(hub, k.Limit)
		}
	}
}

// keep writes an operator's changes into the memo, where they outlive this run however it ends.
func (p *hubPool) keep(ctx workflow.Context) error {
	kept := slices.DeleteFunc(slices.Clone(p.Kept), func(k workflows.KeptHub) bool { return p.Book.Hub(k.Hub) != nil })
	for i := range p.Book.Hubs {
		h := &p.Book.Hubs[i]
		changed := workflows.KeptHub{Hub: h.Name, Paused: h.Paused}
		if h.Limit != h.Configured {
			changed.Limit, changed.Configured = h.Limit, h.Configured
		}
		if changed.Paused || changed.Limit > 0 {
			kept = append(kept, changed)
		}
	}
	slices.SortFunc(kept, func(a, c workflows.KeptHub) int { return cmp.Compare(a.Hub, c.Hub) })
	kept = kept[:min(len(kept), model.HubsAtMost)]
	if slices.Equal(kept, p.Kept) {
		return nil
	}
	if err := workflow.UpsertMemo(ctx, map[string]any{workflows.MemoKept: kept}); err != nil {
		return fmt.Errorf("keep the changes of an operator: %w", err)
	}
	p.Kept = kept
	return nil
}
