package workers

import (
	"context"

	"go.temporal.io/sdk/worker"

	"github.com/perceptor/perceptor/internal/berth"
)

// berthSlots lets a worker fetch a pull only while there is a berth for it: the slot is reserved before the poll, and the
// step turns the reservation into the berth.
type berthSlots struct{ yard *berth.Yard }

// used marks a permit whose task was started: its reservation belongs to the step.
type used struct{ started bool }

func (b berthSlots) ReserveSlot(ctx context.Context, _ worker.SlotReservationInfo) (*worker.SlotPermit, error) {
	if err := b.yard.Reserve(ctx); err != nil {
		return nil, err
	}
	return &worker.SlotPermit{UserData: &used{}}, nil
}

func (b berthSlots) TryReserveSlot(worker.SlotReservationInfo) *worker.SlotPermit {
	if !b.yard.TryReserve() {
		return nil
	}
	return &worker.SlotPermit{UserData: &used{}}
}

func (b berthSlots) MarkSlotUsed(info worker.SlotMarkUsedInfo) {
	if u, ok := info.Permit().UserData.(*used); ok {
		u.started = true
	}
}

func (b berthSlots) ReleaseSlot(info worker.SlotReleaseInfo) {
	if u, ok := info.Permit().UserData.(*used); ok && !u.started {
		b.yard.Cancel()
	}
}

func (b berthSlots) MaxSlots() int { return b.yard.Size() }

// otherSlots is for the kinds of tasks a pull worker does not serve; the SDK wants a supplier for each.
const otherSlots = 2

func berthTuner(yard *berth.Yard) (worker.WorkerTuner, error) {
	var others []worker.SlotSupplier
	for range 4 {
		fixed, err := worker.NewFixedSizeSlotSupplier(otherSlots)
		if err != nil {
			return nil, err
		}
		others = append(others, fixed)
	}
	return worker.NewCompositeTuner(worker.CompositeTunerOptions{
		ActivitySlotSupplier: berthSlots{yard}, WorkflowSlotSupplier: others[0], LocalActivitySlotSupplier: others[1],
		NexusSlotSupplier: others[2], SessionActivitySlotSupplier: others[3],
	})
}
