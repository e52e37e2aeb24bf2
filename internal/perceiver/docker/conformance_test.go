package docker

import (
	"testing"

	"github.com/perceptor/perceptor/internal/perceiver/conformance"
)

func TestConformance(t *testing.T) {
	conformance.Run(t, func(t *testing.T) conformance.Platform { return startFake(t) })
}
