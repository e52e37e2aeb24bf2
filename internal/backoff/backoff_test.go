package backoff_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/backoff"
)

func TestDelayDoublesUpToItsBound(t *testing.T) {
	d := backoff.Delay{First: time.Second, Most: 5 * time.Second}
	for failures, want := range map[int]time.Duration{
		-1: time.Second, 0: time.Second, 1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 4: 5 * time.Second, 1_000_000_000: 5 * time.Second,
	} {
		require.Equal(t, want, d.After(failures), "after %d failures", failures)
	}
}

func TestDelayNeverExceedsItsBound(t *testing.T) {
	require.Equal(t, time.Second, backoff.Delay{First: time.Minute, Most: time.Second}.After(1))
	require.Zero(t, backoff.Delay{}.After(1_000_000_000), "a delay of nothing ends at once")
}
