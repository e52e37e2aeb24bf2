//go:build bench

package bench_test

import (
	"testing"

	"github.com/perceptor/perceptor/internal/rig"
)

// dev is a running perceptor-dev, with the questions that only benchmarks ask.
type dev struct{ *rig.Dev }

func startDev(b *testing.B, args ...string) *dev {
	b.Helper()
	return &dev{rig.StartDev(b, args...)}
}

// system is a whole system with hubs and workers, with the questions that only benchmarks ask.
type system struct{ *rig.System }

func startSystem(b *testing.B, args ...string) *system {
	b.Helper()
	return &system{rig.StartSystem(b, args...)}
}
