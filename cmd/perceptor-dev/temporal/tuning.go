package temporal

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"go.temporal.io/server/chasm/lib/activity"
	"go.temporal.io/server/common/dynamicconfig"
)

const (
	// timeShift is by how much a timer may fire too late.
	timeShift = 100 * time.Millisecond
	// queueReads is how often a second each queue of the server's own tasks may be read.
	queueReads = 200
)

// tuned is the tuning, and over it what a file of the server's own format for dynamic configuration says. A setting that the
// server does not know is refused, since it would do nothing.
func tuned(path string) (dynamicconfig.StaticClient, error) {
	settings := tuning()
	if path == "" {
		return settings, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read settings of temporal server: %w", err)
	}
	loaded := dynamicconfig.LoadYamlFile(text)
	if err := errors.Join(append(loaded.Errors, loaded.Warnings...)...); err != nil {
		return nil, fmt.Errorf("settings of temporal server in %s: %w", path, err)
	}
	for key, values := range loaded.Map {
		// What is set for some queues only leaves all others as they are tuned.
		if own, ok := settings[key]; ok && !slices.ContainsFunc(values, isForAll) {
			values = append(values, dynamicconfig.ConstrainedValue{Value: own})
		}
		settings[key] = values
	}
	return settings, nil
}

func isForAll(v dynamicconfig.ConstrainedValue) bool {
	return v.Constraints == dynamicconfig.Constraints{}
}

// tuning is what the server lets us tune.
func tuning() dynamicconfig.StaticClient {
	return dynamicconfig.StaticClient{
		// Scans share one priority level and divide it by fairness key.
		dynamicconfig.MatchingUseNewMatcher.Key():  true,
		dynamicconfig.MatchingEnableFairness.Key(): true,
		// Order and rate of a queue hold per partition, so there is one.
		dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():  1,
		dynamicconfig.MatchingNumTaskqueueWritePartitions.Key(): 1,
		// The server's own second would stretch every shorter retry delay to one.
		dynamicconfig.TimerProcessorMaxTimeShift.Key(): timeShift,
		// A timer queue that is read for the third time in one second counts as stuck there, and what is due in that second
		// is left to a slow reader, for ten seconds and more. A shorter shift reads more often: it is no sign of anything then.
		dynamicconfig.QueueReaderStuckCriticalAttempts.Key(): 3 * int(time.Second/timeShift),
		// The one shard does the work of many: 20 reads a second would be its bound.
		dynamicconfig.TimerProcessorMaxPollRPS.Key():    queueReads,
		dynamicconfig.TransferProcessorMaxPollRPS.Key(): queueReads,
		// The default of 10 per second is met by one open browser tab and a script.
		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key(): 200,
		// The server would ask its makers whether it is up to date.
		dynamicconfig.EnableServerVersionCheck.Key(): false,
		// Activities of their own, without a workflow.
		activity.Enabled.Key(): true,
		// Commands on those: options, pause, reset. Activities of a workflow have no such switch.
		activity.EnableStandaloneActivityOperatorCommands.Key(): true,
	}
}
