package activities_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
)

// slowHub answers no sooner than its step has beaten.
type slowHub struct {
	stubHub
	beaten chan struct{}
}

func (h *slowHub) wait(ctx context.Context) {
	select {
	case <-h.beaten:
	case <-ctx.Done():
	}
}

func (h *slowHub) FindScan(ctx context.Context, _ string) (model.HubScan, error) {
	h.wait(ctx)
	return model.HubScan{}, ctx.Err()
}

func (h *slowHub) ScanState(ctx context.Context, _ model.HubScan) (model.HubScan, error) {
	h.wait(ctx)
	return model.HubScan{State: model.HubScanComplete}, ctx.Err()
}

func (h *slowHub) Verdict(ctx context.Context, _ model.HubScan) (model.Verdict, error) {
	h.wait(ctx)
	return model.Verdict{}, ctx.Err()
}

// TestStepsBeatWhileTheirHubIsSlow: without that, a dead worker looks like a slow hub for minutes.
func TestStepsBeatWhileTheirHubIsSlow(t *testing.T) {
	for name, run := range map[string]func(*testsuite.TestActivityEnvironment, *activities.HubSteps) error{
		"look up": func(env *testsuite.TestActivityEnvironment, s *activities.HubSteps) error {
			_, err := env.ExecuteActivity(s.LookUpScan, activities.LookUpScanInput{Hub: "a"})
			return err
		},
		"check": func(env *testsuite.TestActivityEnvironment, s *activities.HubSteps) error {
			_, err := env.ExecuteActivity(s.CheckHubScan, activities.CheckHubScanInput{Hub: "a"})
			return err
		},
		"verdict": func(env *testsuite.TestActivityEnvironment, s *activities.HubSteps) error {
			_, err := env.ExecuteActivity(s.FetchVerdict, activities.FetchVerdictInput{Scan: model.HubScan{Hub: "a"}})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &slowHub{beaten: make(chan struct{}, 100)}
			steps := activities.NewHubSteps(activities.HubMap{"a": h}, nil)
			env := environment(t, steps)
			env.SetOnActivityHeartbeatListener(func(*activity.Info, converter.EncodedValues) { h.beaten <- struct{}{} })
			require.NoError(t, run(env, steps))
		})
	}
}

// TestABeatWhileAwaitingKeepsWhatWasWaited: the newest beat is all the next poll knows of the ones before.
func TestABeatWhileAwaitingKeepsWhatWasWaited(t *testing.T) {
	h := &slowHub{beaten: make(chan struct{}, 100)}
	steps := activities.NewHubSteps(activities.HubMap{"a": h}, nil)
	env := environment(t, steps)
	env.SetHeartbeatDetails(map[string]any{"hub": "MATCHING", "answered": time.Minute})
	var beat struct {
		Hub      string        `json:"hub"`
		Answered time.Duration `json:"answered"`
	}
	env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		if details.Get(&beat) == nil {
			h.beaten <- struct{}{}
		}
	})
	_, err := env.ExecuteActivity(steps.AwaitHubScan, activities.AwaitHubScanInput{Scan: model.HubScan{Hub: "a"}, Longest: time.Hour})
	require.NoError(t, err)
	require.Equal(t, "MATCHING", beat.Hub)
	require.Equal(t, time.Minute, beat.Answered)
}
