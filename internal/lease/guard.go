package lease

// guard names one rule that keeps the book true. Tests switch single guards off to prove that each is needed and that the
// invariants notice; nothing else can, since the field is not exported and does not travel.
type guard uint32

const (
	guardLimit guard = 1 << iota
	guardDrainingCounts
	guardDigest
	guardCold
	guardUsable
	guardAcceptable
	guardOrder
	guardTurn
	guardAttempt
	guardLateRelease
	guardLateConfirm
	guardLateAnnounce
	guardAdopt
	guardDrain
	guardUnfinished
	guardFence
	guardTwice
	guardOwnScan
	guardCheckLeases
	guardCheckWaiters
	guardResend
)

// on reports whether the guard is in force.
func (b *Book) on(g guard) bool { return b.off&g == 0 }
