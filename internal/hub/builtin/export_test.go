package builtin

import "github.com/perceptor/perceptor/internal/hub/builtin/store"

// What tests outside the package may see of it.

// UnusedData names vulnerability data that wait for their deletion; empty when there are none.
func (h *Hub) UnusedData() (string, error) { return h.jobs.Cleanup.UnusedData() }

// StoredScans counts the scans in the file and those of them that are in progress.
func (h *Hub) StoredScans() (all, active int, err error) {
	err = h.store.View(func(tx *store.Tx) error {
		running, err := tx.Scans().Active()
		all, active = tx.Scans().Count(), len(running)
		return err
	})
	return all, active, err
}

// DueScans counts the scans in progress whose time has come.
func (h *Hub) DueScans() (due int) {
	_ = h.store.View(func(tx *store.Tx) error {
		running, err := tx.Scans().Active()
		for _, s := range running {
			if !s.DueAt.After(h.options.Clock.Now()) {
				due++
			}
		}
		return err
	})
	return due
}
