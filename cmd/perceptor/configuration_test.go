package main

import (
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/config"
)

// TestEveryConfiguredFlagExists fails when the configuration reference names a flag that no command has.
func TestEveryConfiguredFlagExists(t *testing.T) {
	known := map[string]bool{}
	var collect func(*cobra.Command)
	collect = func(c *cobra.Command) {
		for _, name := range config.Flags() {
			known[name] = known[name] || c.Flags().Lookup(name) != nil || c.PersistentFlags().Lookup(name) != nil
		}
		for _, child := range c.Commands() {
			collect(child)
		}
	}
	collect(newRoot())
	require.NotEmpty(t, known)
	for name, exists := range known {
		require.True(t, exists, "no command has the flag --%s", name)
	}
}
