package workers

import (
	"context"

	"go.temporal.io/sdk/worker"

	"github.com/perceptor/perceptor/internal/workspace"
)

// workspaceSlots lets a worker fetch a pull only while there is a workspace for it: the slot is reserved before the poll, and
// the step turns the reservation into the workspace.
type workspaceSlots struct{ pool *workspace.Pool }

// used marks a permit whose task was started: its reservation belongs to the step.
type used struct{ started bool }

func (s workspaceSlots) ReserveSlot(ctx context.Context, _ worker.SlotReservationInfo) (*worker.SlotPermit, error) {
	if err := s.pool.Reserve(ctx); err != nil {
		return nil, err
	}
	return &worker.SlotPermit{UserData: &used{}}, nil
}

func (s workspaceSlots) TryReserveSlot(worker.SlotReservationInfo) *worker.SlotPermit {
	if !s.pool.TryReserve() {
		return nil
	}
	return &worker.SlotPermit{UserData: &used{}}
}

func (s workspaceSlots) MarkSlotUsed(info worker.SlotMarkUsedInfo) {
	if u, ok := info.Permit().UserData.(*used); ok {
		u.started = true
	}
}

func (s workspaceSlots) ReleaseSlot(info worker.SlotReleaseInfo) {
	if u, ok := info.Permit().UserData.(*used); ok && !u.started {
		s.pool.CancelReservation()
	}
}

func (s workspaceSlots) MaxSlots() int { return s.pool.Size() }

// otherSlots is for the kinds of tasks a pull worker does not serve; the SDK wants a supplier for each.
const otherSlots = 2

func workspaceTuner(pool *workspace.Pool) (worker.WorkerTuner, error) {
	var others []worker.SlotSupplier
	for range 4 {
		fixed, err := worker.NewFixedSizeSlotSupplier(otherSlots)
		if err != nil {
			return nil, err
		}
		others = append(others, fixed)
	}
	return worker.NewCompositeTuner(worker.CompositeTunerOptions{
		ActivitySlotSupplier: workspaceSlots{pool}, WorkflowSlotSupplier: others[0], LocalActivitySlotSupplier: others[1],
		NexusSlotSupplier: others[2], SessionActivitySlotSupplier: others[3],
	})
}
