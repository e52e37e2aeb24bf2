package kubernetes

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/perceiver"
)

func TestNamespacePatterns(t *testing.T) {
	f, err := NewFilter(Selection{Namespaces: []string{"team-*", "prod?"}, ExcludedNamespaces: []string{"*-sandbox"}})
	require.NoError(t, err)
	for namespace, allowed := range map[string]bool{
		"team-a": true, "team-": true, "prod1": true, "prod": false, "prod12": false, "a-team-b": false, "team-a-sandbox": false, "": false,
		"team-.*": true, "kube-system": false,
	} {
		require.Equal(t, allowed, f.Allows(namespace), namespace)
	}
	all, err := NewFilter(Selection{ExcludedNamespaces: []string{"kube-*"}})
	require.NoError(t, err)
	require.True(t, all.Allows("anything"))
	require.False(t, all.Allows("kube-system"))
}

func TestNamespaceSelector(t *testing.T) {
	f, err := NewFilter(Selection{NamespaceSelector: "scan in (yes,maybe),tier!=test"})
	require.NoError(t, err)
	require.True(t, f.selects(map[string]string{"scan": "yes"}))
	require.False(t, f.selects(map[string]string{"scan": "yes", "tier": "test"}))
	require.False(t, f.selects(nil))
	require.True(t, everything(t).selects(nil))
}

func TestIgnoredImages(t *testing.T) {
	f, err := NewFilter(Selection{IgnoredImages: append([]string{
		"quay.example/*", "docker.io/library/redis", "*/tools:debug*", "registry.example:5000/team/*",
	}, DefaultIgnored...)})
	require.NoError(t, err)
	for reference, ignored := range map[string]bool{
		"registry.example/pause:3.9": true, "pause": true, "registry.example/pauses:1": false, "rancher/mirrored-pause:3": true,
		"quay.example/a/b:1": true, "quay.example:1/a": false, "redis:7": true, "docker.io/redis:7": true, "docker.io/library/redis": true,
		"other/redis:7": false, "docker.io/x/redis": false, "registry.example/tools:debug-1": true, "registry.example/tools:1": false, "registry.example/tools": false,
		"registry.example:5000/team/app@sha256:" + sumA: true, "registry.example:5000/app": false, "": false, "a b": false,
	} {
		require.Equal(t, ignored, f.Ignores(reference), reference)
	}
	require.False(t, everything(t).Ignores("pause"), "the zero selection ignores nothing")
}

func TestAllMistakesOfASelectionAreToldAtOnce(t *testing.T) {
	_, err := NewFilter(Selection{
		Namespaces: []string{""}, ExcludedNamespaces: []string{strings.Repeat("x", perceiver.LongestPattern+1)}, NamespaceSelector: "a in", IgnoredImages: []string{""},
	})
	for _, mistake := range []string{"namespaces: pattern", "excluded namespaces: pattern", "has 513 characters", `selector "a in"`, "ignored images: pattern"} {
		require.ErrorContains(t, err, mistake)
	}
}

func TestOptOut(t *testing.T) {
	for value, out := range map[string]bool{"true": true, "1": true, "false": false, "": false, "please": false} {
		require.Equal(t, out, optedOut(map[string]string{OptOut: value}), value)
	}
	require.False(t, optedOut(nil))
}
