package registry

import (
	"testing"
	"time"

	"github.com/perceptor/perceptor/internal/perceiver/conformance"
)

func TestConformance(t *testing.T) {
	conformance.Run(t, func(t *testing.T) conformance.Platform { return startFake(t) })
}

func TestConformanceWithoutEvents(t *testing.T) {
	conformance.Run(t, func(t *testing.T) conformance.Platform {
		f := startFake(t)
		f.notifies = false
		f.options = func(o *Options) { o.WalkInterval = 50 * time.Millisecond }
		return f
	})
}
