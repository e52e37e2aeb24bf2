package jobs

import (
	"fmt"
	"time"

	"github.com/perceptor/perceptor/internal/hub/builtin/store"
)

const (
	// cleanupInterval is how often counters are written and old things are deleted.
	cleanupInterval = 5 * time.Second
	// keepNotifications is how long notifications stay readable.
	keepNotifications = 30 * 24 * time.Hour
	// deleteBatch bounds what one transaction deletes.
	deleteBatch = 2000
)

// Cleanup deletes old notifications and vulnerability data that are not in use.
type Cleanup struct {
	*core
	updates *Updates
}

func (c *Cleanup) run(chores []func() error) {
	chores = append(chores, c.dropOldNotifications, c.dropOldData)
	for {
		for _, chore := range chores {
			if err := chore(); err != nil {
				c.Log.Error("clean-up could not be finished", "error", err)
			}
		}
		if !c.wait(cleanupInterval) {
			return
		}
	}
}

func (c *Cleanup) dropOldNotifications() error {
	last, found := c.Now().Add(-keepNotifications), false
	err := c.Store.View(func(tx *store.Tx) error {
		found = tx.Notifications().AnyBefore(last)
		return nil
	})
	if err != nil || !found {
		return err
	}
	return c.Store.Update(func(tx *store.Tx) error { return tx.Notifications().DeleteBefore(last, deleteBatch) })
}

// dropOldData deletes vulnerability data that are neither in use nor being loaded, in batches.
func (c *Cleanup) dropOldData() error {
	for c.context.Err() == nil {
		name, err := c.UnusedData()
		if err != nil || name == "" {
			return err
		}
		err = c.Store.Update(func(tx *store.Tx) error {
			// The look above was another transaction: the data may have come into use since.
			name, err := tx.Data().Unused(c.updates.writing.Load())
			if err != nil || name == "" {
				return err
			}
			return tx.Data().DeletePart(name, deleteBatch)
		})
		if err != nil {
			return fmt.Errorf("delete old vulnerability data: %w", err)
		}
	}
	return nil
}

// UnusedData names vulnerability data that wait for their deletion; empty when there are none.
func (c *Cleanup) UnusedData() (name string, err error) {
	err = c.Store.View(func(tx *store.Tx) (err error) {
		name, err = tx.Data().Unused(c.updates.writing.Load())
		return err
	})
	return name, err
}
