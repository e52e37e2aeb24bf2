package watchdog_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/workflows"
	"github.com/perceptor/perceptor/workflows/watchdog"
)

// fakeWorkflows are the workflows of a namespace.
type fakeWorkflows struct {
	stuck      []activities.StuckWorkflow
	restored   []string
	lookErr    error
	restoreErr error
	asked      int
	namespace  string
}

func (f *fakeWorkflows) Restore(_ context.Context, namespace string) ([]string, error) {
	f.asked++
	f.namespace = namespace
	return f.restored, f.restoreErr
}

func (f *fakeWorkflows) Look(context.Context) ([]activities.StuckWorkflow, error) {
	return f.stuck, f.lookErr
}

func look(t *testing.T, f *fakeWorkflows) (workflows.WatchdogResult, error) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	e := suite.NewTestWorkflowEnvironment()
	e.RegisterActivity(activities.NewWatchSteps(f))
	e.ExecuteWorkflow(watchdog.Watchdog, workflows.WatchdogInput{})
	require.True(t, e.IsWorkflowCompleted())
	var found workflows.WatchdogResult
	if err := e.GetWorkflowError(); err != nil {
		return found, err
	}
	return found, e.GetWorkflowResult(&found)
}

func TestLookNamesTheFirstAndCountsAll(t *testing.T) {
	f := &fakeWorkflows{restored: []string{"image/a"}}
	for range 250 {
		f.stuck = append(f.stuck, activities.StuckWorkflow{WorkflowID: "x"})
	}
	found, err := look(t, f)
	require.NoError(t, err)
	require.Equal(t, 250, found.StuckCount)
	require.Len(t, found.Stuck, 100)
	require.Equal(t, []string{"image/a"}, found.Restored)
	require.Equal(t, 1, found.RestoredCount)
	require.False(t, found.At.IsZero())
	require.NotEmpty(t, f.namespace)
}

func TestLookThatSawNotEverythingFails(t *testing.T) {
	for name, f := range map[string]*fakeWorkflows{
		"look": {lookErr: errors.New("the server is away")}, "restore": {restoreErr: errors.New("the server is away")},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := look(t, f)
			require.ErrorContains(t, err, "the server is away")
			require.Equal(t, 1, f.asked, "the next look is soon")
		})
	}
}
