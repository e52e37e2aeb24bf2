package workflows

import (
	"time"

	"github.com/perceptor/perceptor/activities"
)

// TypeWatchdog is the type of the workflow that looks after all others.
const TypeWatchdog = "Watchdog"

// WatchdogID is the id of the Schedule of the Watchdog, and begins those of its workflows.
const WatchdogID = "watchdog"

const (
	// WatchdogEvery is the time between two looks: short enough that what was ended by hand is back within a minute.
	WatchdogEvery = 30 * time.Second
	// WatchdogLongest is when one look counts as lost, so that the next can begin.
	WatchdogLongest = 5 * time.Minute
	// WatchdogSilent is after which time without a complete look nothing is known about the workflows: several looks have failed.
	WatchdogSilent = 3 * time.Minute
)

// WatchdogInput starts one look.
type WatchdogInput struct{}

// WatchdogResult is what one look found.
type WatchdogResult = activities.CheckWorkflowsResult
