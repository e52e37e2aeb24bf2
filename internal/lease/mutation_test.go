package lease

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEveryGuardIsNeeded switches the guards off one by one: some history must then break a rule.
func TestEveryGuardIsNeeded(t *testing.T) {
	t.Parallel()
	for _, mutation := range []struct {
		name string
		off  guard
		rule string
	}{
		{"more than the limit", guardLimit, "is granted as number"},
		{"draining leases do not count", guardDrainingCounts, "is granted as number"},
		{"two leases of one digest", guardDigest, "second lease"},
		{"a cold book grants", guardCold, "cold book grants"},
		{"paused, tripped, disabled and removed hubs get scans", guardUsable, "is granted on"},
		{"hubs that are not acceptable", guardAcceptable, "does not accept"},
		{"last come, first served", guardOrder, "of its priority pass"},
		{"never the turn of the one that waited longest", guardTurn, "grants of hub"},
		{"attempts that do not grow", guardAttempt, "attempt"},
		{"a late release ends a newer lease", guardLateRelease, "without a lease"},
		{"a late confirmation confirms a newer grant", guardLateConfirm, "never was"},
		{"a late announcement brings a freed lease back", guardLateAnnounce, "came back"},
		{"announced leases are not believed", guardAdopt, "without a lease"},
		{"the lease of an ended holder is freed", guardDrain, "without a lease"},
		{"an unfinished lease is freed", guardUnfinished, "without a lease"},
		{"absent counts before the fence", guardFence, "without a lease"},
		{"absent once is enough", guardTwice, "without a lease"},
		{"an older scan of the same name counts", guardOwnScan, "without a lease"},
		{"silent holders are not checked", guardCheckLeases, "leaked"},
		{"silent waiters are not checked", guardCheckWaiters, "waits for ever"},
		{"grants are not sent again", guardResend, "not be sent again"},
	} {
		t.Run(mutation.name, func(t *testing.T) {
			t.Parallel()
			err := firstViolation(histories, mutation.off)
			require.Error(t, err, "no history noticed")
			require.Contains(t, err.Error(), mutation.rule)
		})
	}
}
