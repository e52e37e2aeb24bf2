package activities_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/workspace"
	"github.com/perceptor/perceptor/model"
)

const someDigest = model.Digest("sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")

// stubPuller writes a tar, or fails.
type stubPuller struct {
	err   error
	pulls int
}

func (p *stubPuller) Pull(_ context.Context, names []model.Name, _ model.Digest, tar string, progress func(done, total int64)) (activities.PulledImage, error) {
	progress(1, 2)
	p.pulls++
	if p.err != nil {
		return activities.PulledImage{}, errors.Join(p.err, os.WriteFile(tar+".partial", nil, 0o600))
	}
	return activities.PulledImage{Name: names[0], Bytes: 2, Size: 2}, os.WriteFile(tar, []byte("xx"), 0o600)
}

// stubClient finds three components, or fails; uploads counts what was sent.
type stubClient struct {
	sbomErr, uploadErr error
	uploads            int
}

func (c *stubClient) GenerateSBOM(_ context.Context, _, sbom, _ string, _ model.HubNames, progress func(phase string, done, total int64)) (int, error) {
	progress("cataloging packages", 1, 2)
	if c.sbomErr != nil {
		return 0, c.sbomErr
	}
	return 3, os.WriteFile(sbom, []byte("{}"), 0o600)
}

func (c *stubClient) Upload(context.Context, string, model.UploadTarget, model.HubNames, model.AttemptID, func(phase string, done, total int64)) (string, error) {
	c.uploads++
	return "scan-1", c.uploadErr
}

// host is one scanner host with everything around it made small.
type host struct {
	pool   *workspace.Pool
	hub    *stubHub
	client *stubClient
	puller *stubPuller
	steps  *activities.ScannerSteps
}

func newHost(t *testing.T, pull error) *host {
	t.Helper()
	pool, err := workspace.Open(t.TempDir(), "host-1", 2)
	require.NoError(t, err)
	h := &host{pool: pool, hub: &stubHub{found: model.HubScan{State: model.HubScanAbsent}}, client: &stubClient{}, puller: &stubPuller{err: pull}}
	h.steps = activities.NewScannerSteps(h.puller, h.client, pool, activities.HubMap{"a": h.hub})
	return h
}

func pullInput() activities.PullImageInput {
	return activities.PullImageInput{Digest: someDigest, Names: []model.Name{{Repository: "r", Tag: "1"}}, Chain: "chain", Pull: 1}
}

func (h *host) pull(t *testing.T) (activities.Workspace, error) {
	t.Helper()
	value, err := environment(t, h.steps).ExecuteActivity(h.steps.PullImage, pullInput())
	if err != nil {
		return activities.Workspace{}, err
	}
	var workspace activities.Workspace
	require.NoError(t, value.Get(&workspace))
	return workspace, nil
}

func (h *host) upload(t *testing.T, workspace activities.Workspace) (activities.UploadScanResult, error) {
	t.Helper()
	value, err := environment(t, h.steps).ExecuteActivity(h.steps.UploadScan, activities.UploadScanInput{Workspace: workspace, Hub: "a", Names: model.HubNames{Scan: "x"}})
	if err != nil {
		return activities.UploadScanResult{}, err
	}
	var result activities.UploadScanResult
	require.NoError(t, value.Get(&result))
	return result, nil
}

func TestWorkspaceIsKeptFromPullToUpload(t *testing.T) {
	h := newHost(t, nil)
	workspace, err := h.pull(t)
	require.NoError(t, err)
	require.Equal(t, "host-1", workspace.Host)
	require.Len(t, h.pool.List(), 1)
	directory, found := h.pool.Find(workspace.Key)
	require.True(t, found)

	require.Equal(t, 3, workspace.Components)
	require.NoFileExists(t, filepath.Join(directory, "image.tar"), "the tar is not needed any longer")
	require.Len(t, h.pool.List(), 1)

	result, err := h.upload(t, workspace)
	require.NoError(t, err)
	require.Nil(t, result.Trouble)
	require.Equal(t, "scan-1", result.Scan.ScanID)
	require.Empty(t, h.pool.List())
}

func TestFailedPullLeavesNothing(t *testing.T) {
	h := newHost(t, edgeError{class: model.NotFound})
	_, err := h.pull(t)
	app := applicationError(t, err)
	require.Equal(t, string(model.NotFound), app.Type())
	require.True(t, app.NonRetryable())
	require.Empty(t, h.pool.List())
}

// TestSBOMThatFailsForGoodReleasesTheWorkspace: the failure says in which part of the step it was.
func TestSBOMThatFailsForGoodReleasesTheWorkspace(t *testing.T) {
	for class, kept := range map[model.FailureClass]int{model.Invalid: 0, model.Transient: 1} {
		h := newHost(t, nil)
		h.client.sbomErr = edgeError{class: class}
		_, err := h.pull(t)
		require.Equal(t, !class.Temporary(), applicationError(t, err).NonRetryable())
		require.Equal(t, string(class), applicationError(t, err).Type())
		require.Equal(t, activities.PartSBOM, activities.PartOf(err))
		require.Len(t, h.pool.List(), kept, "%s", class)
	}
}

// attempts pulls once more after each failure of the step, and after each answer that gets lost: a function is called for each
// attempt before it, and one after it, which may lose its answer.
func (h *host) attempts(t *testing.T, before func(attempt int32), after func(attempt int32) error) activities.Workspace {
	t.Helper()
	var s testsuite.WorkflowTestSuite
	env := s.NewTestWorkflowEnvironment()
	attempt := func(ctx context.Context, in activities.PullImageInput) (activities.Workspace, error) {
		before(activity.GetInfo(ctx).Attempt)
		workspace, err := h.steps.PullImage(ctx, in)
		return workspace, errors.Join(err, after(activity.GetInfo(ctx).Attempt))
	}
	env.RegisterActivityWithOptions(attempt, activity.RegisterOptions{Name: "PullImage"})
	env.ExecuteWorkflow(func(ctx workflow.Context) (activities.Workspace, error) {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
		var workspace activities.Workspace
		err := workflow.ExecuteActivity(ctx, "PullImage", pullInput()).Get(ctx, &workspace)
		return workspace, err
	})
	var workspace activities.Workspace
	require.NoError(t, env.GetWorkflowResult(&workspace))
	return workspace
}

// TestNextAttemptGoesOnInTheWorkspaceOfTheOneBefore: what was pulled is not pulled again, and an SBOM is not made again.
func TestNextAttemptGoesOnInTheWorkspaceOfTheOneBefore(t *testing.T) {
	h := newHost(t, nil)
	workspace := h.attempts(t, func(attempt int32) {
		switch h.client.sbomErr = nil; attempt {
		case 1:
			h.client.sbomErr = edgeError{class: model.Transient}
		case 2:
			h.puller.err = errors.New("it is not pulled again")
		case 3:
			h.client.sbomErr = errors.New("it is not made again")
		}
	}, func(attempt int32) error {
		if attempt == 2 {
			return errors.New("the answer was lost")
		}
		return nil
	})
	require.Equal(t, activities.Workspace{
		Host: "host-1", Key: key(1), Name: pullInput().Names[0], Bytes: 2, Size: 2, Components: 3,
	}, workspace)
	require.Equal(t, 1, h.puller.pulls)
	require.Len(t, h.pool.List(), 1)
	_, found := h.pool.Find(workspace.Key)
	require.True(t, found)
}

// TestAttemptWithoutANotePullsAgain: a note that is damaged, or of another image, says nothing.
func TestAttemptWithoutANotePullsAgain(t *testing.T) {
	for _, note := range []string{"", `{"name":`, `{"name":{"repository":"other","tag":"1"}}`} {
		h := newHost(t, nil)
		workspace := h.attempts(t, func(int32) {}, func(attempt int32) error {
			if attempt > 1 {
				return nil
			}
			return errors.Join(os.WriteFile(filepath.Join(h.pool.Directory(key(1)), "workspace.json"), []byte(note), 0o600), errors.New("the answer was lost"))
		})
		require.Equal(t, 3, workspace.Components)
		require.Equal(t, 2, h.puller.pulls)
	}
}

func key(attempt int) string {
	return activities.WorkspaceKey{Digest: someDigest, Chain: "chain", Pull: 1, Attempt: attempt}.String()
}

func TestPullThatFailsSaysSoAndNotThatTheSBOMDid(t *testing.T) {
	_, err := newHost(t, edgeError{class: model.Transient}).pull(t)
	require.Empty(t, activities.PartOf(err))
	class, _ := activities.FailureOf(err)
	require.Equal(t, model.Transient, class)
}

func TestStepsOnAWorkspaceThatIsGoneSaySo(t *testing.T) {
	h := newHost(t, nil)
	gone := activities.Workspace{Host: "host-1", Key: "gone"}
	_, err := h.upload(t, gone)
	require.Equal(t, string(activities.WorkspaceGone), applicationError(t, err).Type())
}

func TestUploadLooksOnceMoreUnderTheLease(t *testing.T) {
	h := newHost(t, nil)
	workspace, err := h.pull(t)
	require.NoError(t, err)
	h.hub.found = model.HubScan{State: model.HubScanInProgress, ScanID: "theirs"}
	result, err := h.upload(t, workspace)
	require.NoError(t, err)
	require.True(t, result.Found)
	require.Equal(t, "theirs", result.Scan.ScanID)
	require.Zero(t, h.client.uploads)
	require.Empty(t, h.pool.List())
}

func TestUploadFailureIsAResultThatSaysWhetherTheHubTookIt(t *testing.T) {
	for _, refused := range []bool{true, false} {
		h := newHost(t, nil)
		workspace, err := h.pull(t)
		require.NoError(t, err)
		h.client.uploadErr = edgeError{class: model.Throttled, refused: refused}
		result, err := h.upload(t, workspace)
		require.NoError(t, err)
		require.Equal(t, model.Throttled, result.Trouble.Class)
		require.Equal(t, refused, result.Refused)
		require.Len(t, h.pool.List(), 1, "the SBOM is kept for the next try")
	}
}
