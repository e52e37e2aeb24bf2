package temporal

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/server/common/dynamicconfig"
)

func tunedBy(t *testing.T, settings string) (dynamicconfig.StaticClient, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "settings.yaml")
	require.NoError(t, os.WriteFile(path, []byte(settings), 0o600))
	return tuned(path)
}

func TestSettingsOfTheServerGoBeforeOurs(t *testing.T) {
	shift := dynamicconfig.TimerProcessorMaxTimeShift.Key()
	settings, err := tunedBy(t, "history.timerProcessorMaxTimeShift: [{value: 1s}]\n")
	require.NoError(t, err)
	require.Equal(t, "1s", settings.GetValue(shift)[0].Value)
	require.Equal(t, tuning().GetValue(dynamicconfig.MatchingUseNewMatcher.Key()), settings.GetValue(dynamicconfig.MatchingUseNewMatcher.Key()))
	ours, err := tuned("")
	require.NoError(t, err)
	require.Equal(t, timeShift, ours.GetValue(shift)[0].Value)
}

func TestSettingsForOneQueueLeaveTheOthersAsTheyAre(t *testing.T) {
	settings, err := tunedBy(t, "matching.numTaskqueueReadPartitions: [{value: 4, constraints: {taskQueueName: one}}]\n")
	require.NoError(t, err)
	values := settings.GetValue(dynamicconfig.MatchingNumTaskqueueReadPartitions.Key())
	require.Len(t, values, 2)
	require.Equal(t, "one", values[0].Constraints.TaskQueueName)
	require.Equal(t, 1, values[1].Value)
	require.Empty(t, values[1].Constraints)
}

func TestSettingsThatTheServerDoesNotKnowAreRefused(t *testing.T) {
	for name, settings := range map[string]string{
		"unknown":  "history.noSuchSetting: [{value: 1}]\n",
		"no value": "history.timerProcessorMaxTimeShift: 1s\n",
		"no YAML":  "{",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tunedBy(t, settings)
			require.ErrorContains(t, err, "settings.yaml")
		})
	}
	_, err := tuned("no-such-file")
	require.ErrorContains(t, err, "no-such-file")
}
