package main

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCompatManifest starts nothing: it has every argument of the manifest read, as the program would.
func TestCompatManifest(t *testing.T) {
	text, err := os.ReadFile("../../deploy/compat/perceptor.yaml")
	require.NoError(t, err)
	var args []string
	for _, match := range regexp.MustCompile(`(?m)^ +- (--[a-z-]+=.*)$`).FindAllSubmatch(text, -1) {
		args = append(args, string(match[1]))
	}
	require.Len(t, args, 6)
	command := newAPI(&shared{})
	command.Flags().String("config", "", "of the root command")
	require.NoError(t, command.ParseFlags(args))
	require.NotContains(t, string(text), "@", "no token is in a host name")
}
