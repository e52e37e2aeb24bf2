package osv_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
)

func TestReleasesGetFixesUntilTheirEnd(t *testing.T) {
	day := func(text string) time.Time {
		at, err := time.Parse(time.DateOnly, text)
		require.NoError(t, err)
		return at
	}
	for _, row := range []struct {
		ecosystem string
		on        string
		supported bool
	}{
		{"Debian:11", "2026-08-31", true},
		{"Debian:11", "2026-09-01", false},
		{"Ubuntu:20.04", "2025-05-29", true},
		{"Ubuntu:20.04", "2025-05-30", false},
		{"Ubuntu:20.04:linux-fips", "2025-05-30", false},
		{"Alpine:v3.20", "2026-04-02", false},
		{"Alpine:v3.22", "2026-11-28", true},
		{"SUSE:Micro 5.2", "2026-11-28", false},
		{"SUSE:Micro 5.5", "2026-11-28", true},
		// Older than all that are known.
		{"Debian:3.1", "2026-11-28", false},
		{"Ubuntu:6.06", "2026-11-28", false},
		{"Alpine:v1.10", "2026-11-28", false},
		// Newer, or without an end.
		{"Debian:14", "2026-11-28", true},
		{"Ubuntu:30.04", "2026-11-28", true},
		{"Alpine:v3.100", "2026-11-28", true},
		{"openSUSE:Tumbleweed", "2026-11-28", true},
		{"Wolfi", "2026-11-28", true},
		{"npm", "2026-11-28", true},
		{"Debian:sid", "2026-11-28", true},
	} {
		require.Equal(t, row.supported, osv.Supported(row.ecosystem, day(row.on)), "%s on %s", row.ecosystem, row.on)
	}
	require.Equal(t, osv.SupportEnd("Debian:4"), osv.SupportEnd("Debian:3.1"), "it ended before that day")
	now := day("2026-11-28")
	next := osv.NextSupportEnd(now)
	require.True(t, next.After(now))
	require.Greater(t, osv.SupportEnded(next), osv.SupportEnded(now), "every known end is a date")
}
