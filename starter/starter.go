package starter

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// ErrUnknownImage is the answer for an image nobody refers to, or has referred to for a while.
var ErrUnknownImage = errors.New("no such image is known")

// RejectedError is a workflow's or a step's own word on why it does not do what it was asked.
type RejectedError struct{ Reason string }

// Error is the reason.
func (e RejectedError) Error() string { return e.Reason }

// Starter speaks to the workflows. It is safe for concurrent use.
type Starter struct {
	temporal client.Client
}

// New speaks through c.
func New(c client.Client) *Starter { return &Starter{temporal: c} }

// Ready says why the server cannot be reached; nil when it can.
func (s *Starter) Ready(ctx context.Context) error {
	if _, err := s.temporal.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
		return fmt.Errorf("ask Temporal whether it serves: %w", err)
	}
	return nil
}

// Observe says that somebody refers to an image; its workflow is started when there is none.
func (s *Starter) Observe(ctx context.Context, d model.Digest, o workflows.Observe) error {
	if len(o.Names) == 0 {
		return fmt.Errorf("observe %s: at least one name is needed to pull it by", d)
	}
	if err := s.signalImage(ctx, d, o.Names[0], workflows.ObservedAttributes(d, o.Names[0]), workflows.SignalObserve.Name, o); err != nil {
		return fmt.Errorf("observe %s: %w", d, err)
	}
	return nil
}

// Rescan asks for a new scan of an image that somebody refers to.
func (s *Starter) Rescan(ctx context.Context, d model.Digest, r workflows.Rescan) error {
	err := s.temporal.SignalWorkflow(ctx, workflows.ImageID(d), "", workflows.SignalRescan.Name, r)
	if isNotFound(err) {
		return fmt.Errorf("rescan %s: %w", d, ErrUnknownImage)
	}
	if err != nil {
		return fmt.Errorf("rescan %s: %w", d, err)
	}
	return nil
}

// ReportScan brings a scan's outcome to its image.
func (s *Starter) ReportScan(ctx context.Context, r activities.ScanReport) error {
	attributes := temporal.NewSearchAttributes(workflows.AttributeDigest.ValueSet(workflows.Keyword(string(r.Digest))))
	if err := s.signalImage(ctx, r.Digest, model.Name{Repository: string(r.Digest)}, attributes, workflows.SignalScanReport.Name, r); err != nil {
		return fmt.Errorf("report the scan of %s: %w", r.Digest, err)
	}
	return nil
}

// signalImage signals an image, which is started with the attributes given when it is not there.
func (s *Starter) signalImage(ctx context.Context, d model.Digest, shown model.Name, attributes temporal.SearchAttributes, signal string, value any) error {
	id := workflows.ImageID(d)
	_, err := s.temporal.SignalWithStartWorkflow(ctx, id, signal, value, client.StartWorkflowOptions{
		ID:                    id,
		TaskQueue:             workflows.TaskQueue,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary:         "image " + shown.Reference(),
		TypedSearchAttributes: attributes,
	}, workflows.TypeImage, workflows.ImageInput{Digest: d})
	return err
}

// Image asks an image's workflow what is known; ErrUnknownImage when there is none.
func (s *Starter) Image(ctx context.Context, d model.Digest) (workflows.ImageView, error) {
	var view workflows.ImageView
	err := s.query(ctx, workflows.ImageID(d), workflows.QueryStatus, &view)
	return view, err
}

// Scan asks an image's newest scan how far it is; ErrUnknownImage when there was none.
func (s *Starter) Scan(ctx context.Context, d model.Digest) (workflows.ScanView, error) {
	var view workflows.ScanView
	err := s.query(ctx, workflows.ScanImageID(d), workflows.QueryStatus, &view)
	return view, err
}

// Place asks an image's newest scan where its image lies; ErrUnknownImage when there was none.
func (s *Starter) Workspace(ctx context.Context, d model.Digest) (workflows.WorkspaceView, error) {
	var view workflows.WorkspaceView
	err := s.query(ctx, workflows.ScanImageID(d), workflows.QueryWorkspace, &view)
	return view, err
}

// queryTimeout is above what a query of a long history takes, and short enough for a person.
const queryTimeout = 20 * time.Second

func (s *Starter) query(ctx context.Context, id, name string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	value, err := s.temporal.QueryWorkflow(ctx, id, "", name)
	if isNotFound(err) {
		return fmt.Errorf("ask %s: %w", id, ErrUnknownImage)
	}
	if err != nil {
		return fmt.Errorf("ask %s: %w", id, err)
	}
	if err := value.Get(answer); err != nil {
		return fmt.Errorf("read the answer of %s: %w", id, err)
	}
	return nil
}

// errClosed stands for a workflow that has ended.
var errClosed = errors.New("it has ended")

func isNotFound(err error) bool {
	var missing *serviceerror.NotFound
	return errors.As(err, &missing) || errors.Is(err, errClosed)
}
