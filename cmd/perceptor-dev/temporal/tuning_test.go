package temporal_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/cmd/perceptor-dev/loopback"
	"github.com/perceptor/perceptor/cmd/perceptor-dev/temporal"
)

func startWith(t *testing.T, settings string) (*temporal.Server, error) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "settings.yaml")
	require.NoError(t, os.WriteFile(path, []byte(settings), 0o600))
	listener, err := loopback.Listen(t.Context(), "--temporal", "127.0.0.1:0")
	require.NoError(t, err)
	return temporal.Start(t.Context(), temporal.Options{
		Database: filepath.Join(dir, "temporal.db"), Version: filepath.Join(dir, "temporal.version"), Log: filepath.Join(dir, "temporal.log"),
		Listener: listener, SearchAttributes: attributes, Settings: path,
	})
}

func TestSettingsOfTheServerAreTaken(t *testing.T) {
	server, err := startWith(t, "history.timerProcessorMaxTimeShift:\n- value: 1s\n")
	require.NoError(t, err)
	require.NoError(t, server.Stop())
}

func TestSettingsThatTheServerDoesNotKnowAreRefused(t *testing.T) {
	for name, settings := range map[string]string{
		"unknown":  "history.noSuchSetting:\n- value: 1\n",
		"no value": "history.timerProcessorMaxTimeShift: 1s\n",
		"no YAML":  "{",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := startWith(t, settings)
			require.ErrorContains(t, err, "settings.yaml")
		})
	}
}
