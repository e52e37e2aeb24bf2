// Package backoff computes the growing delays between tries. It is pure, so that workflows may use it too.
package backoff

import "time"

// Delay doubles with every failure in a row: First after one failure, and never more than Most.
type Delay struct{ First, Most time.Duration }

// After is the delay after a number of failures in a row. Fewer than one count as one.
func (d Delay) After(failures int) time.Duration {
	delay := min(d.First, d.Most)
	for ; failures > 1 && delay < d.Most; failures-- {
		delay = min(2*delay, d.Most)
	}
	return max(delay, 0)
}
