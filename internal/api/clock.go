package api

import (
	"sync/atomic"
	"time"

	"github.com/perceptor/perceptor/model"
)

// clock gives reports without a version their order of arrival. Over several processes the order is that of their clocks.
type clock struct{ last atomic.Int64 }

// next is later than every version before it.
func (c *clock) next() model.Version {
	for {
		last := c.last.Load()
		now := max(time.Now().UnixNano(), last+1)
		if c.last.CompareAndSwap(last, now) {
			return model.Version{Epoch: now}
		}
	}
}
