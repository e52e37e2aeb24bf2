//go:build e2e

package e2e_test

import (
	"testing"

	"github.com/perceptor/perceptor/internal/rig"
)

// dev is a running perceptor-dev, with the questions that only these tests ask.
type dev struct{ *rig.Dev }

// startDev starts perceptor-dev on free ports, without samples and workers.
func startDev(t testing.TB, args ...string) *dev {
	t.Helper()
	return &dev{rig.StartDev(t, args...)}
}

// startDevIn starts perceptor-dev on free ports with the data of a directory.
func startDevIn(t testing.TB, directory string, args ...string) *dev {
	t.Helper()
	return &dev{rig.StartDevIn(t, directory, args...)}
}

// system is a whole system with hubs and workers, with the questions that only these tests ask.
type system struct{ *rig.System }

func startSystem(t testing.TB, args ...string) *system {
	t.Helper()
	return &system{rig.StartSystem(t, args...)}
}

// kubernetesSystem is a system with a Kubernetes cluster, with the questions that only these tests ask.
type kubernetesSystem struct{ *rig.KubernetesSystem }

func startKubernetes(t testing.TB, images int) *kubernetesSystem {
	t.Helper()
	return &kubernetesSystem{rig.StartKubernetesSystem(t, images)}
}
