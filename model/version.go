package model

// Version orders what one source says: first by epoch, then by counter. Applying an older version after a newer one changes
// nothing.
type Version struct {
	// Epoch is when the source began to count, in nanoseconds since 1970: the start of a workflow's chain, of a perceiver's
	// process, or of its leadership.
	Epoch int64 `json:"epoch"`
	// Counter counts within the epoch.
	Counter int64 `json:"counter"`
}

// Before reports whether v was given out before w.
func (v Version) Before(w Version) bool {
	return v.Epoch < w.Epoch || v.Epoch == w.Epoch && v.Counter < w.Counter
}
