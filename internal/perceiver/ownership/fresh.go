package ownership

import "time"

// Elapsed is the time between two moments. It is the larger one of what the clock on the wall and the steady clock say: a frozen
// machine stops the one, and a corrected clock moves the other.
func Elapsed(from, to time.Time) time.Duration {
	return max(to.Sub(from), to.Round(0).Sub(from.Round(0)))
}

// RowsGoodFor is how old a row may be when it is written. It is longer than a batch of eight waits for its turn at one request
// per second.
const RowsGoodFor = 10 * time.Second

// RowIsFresh reports whether a row that was read at a time may be written now.
func RowIsFresh(read, now time.Time) bool { return Elapsed(read, now) < RowsGoodFor }

// LeadershipMargin is how long before the end of its Lease a leader stops to write: for a request that is on its way.
const LeadershipMargin = 3 * time.Second

// MayWrite reports whether a leader may write now that renewed its Lease at a time. Another candidate may take over when the
// Lease has ended.
func MayWrite(renewed, now time.Time, lease time.Duration) bool {
	return !renewed.IsZero() && Elapsed(renewed, now) < lease-LeadershipMargin
}
