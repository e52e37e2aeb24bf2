package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/config"
)

// TestEveryConfiguredFlagExists fails when the configuration reference names a flag that the command of that section does not have.
func TestEveryConfiguredFlagExists(t *testing.T) {
	for command, section := range map[string][]string{
		"worker": {"scanner"}, "api": {"api"},
		"perceiver docker": {"perceiver", "docker"}, "perceiver kubernetes": {"perceiver", "kubernetes"}, "perceiver registry": {"perceiver", "registry"},
	} {
		found, rest, err := newRoot().Find(strings.Fields(command))
		require.NoError(t, err)
		require.Empty(t, rest, command)
		flags := config.Flags(section...)
		require.NotEmpty(t, flags, command)
		for _, name := range flags {
			require.NotNil(t, found.Flag(name), "perceptor %s does not have the flag --%s", command, name)
		}
	}
}
