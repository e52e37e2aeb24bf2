package scan

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// pullsAtMost is how often a scan pulls its image because hosts were lost, before Image tries again later.
const pullsAtMost = 5

// pull waits in the backlog for a workspace on a scanner host, which then has the SBOM of the image.
func (s *scanImage) pull(ctx workflow.Context) (workflows.Step, error) {
	if lost := s.state.Pulls - s.state.Returned; lost >= pullsAtMost {
		return "", temporal.NewApplicationError(fmt.Sprintf("%d scanners were lost one after the other", lost), string(model.Transient))
	}
	s.state.Pulls++
	s.state.Workspace, s.state.Components, s.state.External = nil, 0, nil
	ctx = workflows.PullStep(ctx, s.in.Domain, pullID(s.state.Pulls), "pull "+s.in.Names[0].Reference()+" and generate its SBOM", pullPriority(s.in, s.state))
	var workspace activities.Workspace
	err := workflow.ExecuteActivity(ctx, scannerSteps.PullImage, activities.PullImageInput{
		Digest: s.in.Digest, Names: s.in.Names, HubNames: s.in.HubNames, Chain: s.state.Chain, Pull: s.state.Pulls,
	}).Get(ctx, &workspace)
	if err != nil {
		return "", err
	}
	if claim := workspace.External; claim != nil {
		return external{s}.claimed(claim)
	}
	s.state.Workspace, s.state.Components = &workspace, workspace.Components
	return workflows.StepLease, nil
}

// taskPriority is level 1 for a person; all others share a level and divide it by priority and namespace.
func taskPriority(p workflows.Priority, namespace string) temporal.Priority {
	level, weights := workflows.LevelNormal, map[workflows.Priority]float32{workflows.PriorityPod: 100, workflows.PriorityImage: 10, workflows.PriorityBackground: 1}
	if p == workflows.PriorityInteractive {
		level = workflows.LevelFirst
	}
	return temporal.Priority{PriorityKey: level, FairnessKey: fairnessKey(p, namespace), FairnessWeight: weights[p]}
}

// fairnessKey is a hash, because the server refuses keys over 64 bytes and a namespace alone may have 63.
func fairnessKey(c workflows.Priority, namespace string) string {
	sum := sha256.Sum256([]byte(string(c) + "/" + namespace))
	return hex.EncodeToString(sum[:8])
}

// onHost runs a step on the host of the workspace. A task that the host did not start in time is offered to it once more.
func (s *scanImage) onHost(ctx workflow.Context, summary string, longest time.Duration, step, in, out any) error {
	ctx = workflows.HostStep(ctx, s.state.Workspace.Host, summary, longest)
	err := workflow.ExecuteActivity(ctx, step, in).Get(ctx, out)
	if timedOut(err, enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START) {
		err = workflow.ExecuteActivity(ctx, step, in).Get(ctx, out)
	}
	return err
}

// lost reports whether an error means that the host, or the workspace on it, is gone.
func lost(err error) bool {
	var app *temporal.ApplicationError
	if errors.As(err, &app) && app.Type() == string(activities.WorkspaceGone) {
		return true
	}
	return timedOut(err, enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START, enumspb.TIMEOUT_TYPE_HEARTBEAT, enumspb.TIMEOUT_TYPE_START_TO_CLOSE)
}

func timedOut(err error, kinds ...enumspb.TimeoutType) bool {
	var timeout *temporal.TimeoutError
	return errors.As(err, &timeout) && slices.Contains(kinds, timeout.TimeoutType())
}
