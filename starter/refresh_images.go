package starter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// JudgedBy lists the images whose verdict is a hub's on one of these versions.
func (s *Starter) JudgedBy(ctx context.Context, hub string, versions []string) ([]activities.JudgedImage, error) {
	if len(versions) == 0 {
		return nil, nil
	}
	quoted := make([]string, len(versions))
	for i, version := range versions {
		quoted[i] = quote(version)
	}
	return s.judged(ctx, hub, fmt.Sprintf("%s IN (%s)", workflows.AttributeHubVersion.GetName(), strings.Join(quoted, ", ")))
}

// JudgedShare lists the images whose verdict is a hub's and whose digests begin with some hexadecimal digits.
func (s *Starter) JudgedShare(ctx context.Context, hub, digits string) ([]activities.JudgedImage, error) {
	return s.judged(ctx, hub, fmt.Sprintf("%s STARTS_WITH %s", workflows.AttributeDigest.GetName(), quote(model.DigestPrefix+digits)))
}

func (s *Starter) judged(ctx context.Context, hub, condition string) ([]activities.JudgedImage, error) {
	query := fmt.Sprintf(`WorkflowType = "Image" AND ExecutionStatus = "Running" AND %s = %s AND %s`, workflows.AttributeHub.GetName(), quote(hub), condition)
	var found []activities.JudgedImage
	var token []byte
	for {
		page, err := s.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: query, PageSize: 1000, NextPageToken: token})
		if err != nil {
			return nil, fmt.Errorf("list the images judged by hub %s: %w", hub, err)
		}
		for _, each := range page.GetExecutions() {
			found = append(found, judgedImage(each.GetSearchAttributes().GetIndexedFields()))
		}
		if token = page.GetNextPageToken(); len(token) == 0 {
			return found, nil
		}
	}
}

func judgedImage(fields map[string]*commonpb.Payload) activities.JudgedImage {
	var j activities.JudgedImage
	readField(fields, workflows.AttributeDigest, &j.Digest)
	readField(fields, workflows.AttributeHubVersion, &j.Version)
	readField(fields, workflows.AttributeAsOf, &j.AsOf)
	return j
}

// Judge tells an image that a hub judges it otherwise now; false when no such image is known.
func (s *Starter) Judge(ctx context.Context, d model.Digest, v model.Verdict) (bool, error) {
	err := s.temporal.SignalWorkflow(ctx, workflows.ImageID(d), "", workflows.SignalJudged.Name, workflows.Judged{Verdict: v})
	if isNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// RescanLost asks for a new scan when the image still shows a verdict that the hub no longer has, and no scan is under way.
func (s *Starter) RescanLost(ctx context.Context, d model.Digest, hub, version string) (bool, error) {
	view, err := s.Image(ctx, d)
	if errors.Is(err, ErrUnknownImage) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	shown := slices.ContainsFunc(view.Verdicts, func(v model.Verdict) bool {
		return v.Hub == hub && model.VersionKey(v.VersionURL) == version
	})
	if !shown || view.Scanning {
		return false, nil
	}
	err = s.Rescan(ctx, d, workflows.Rescan{Reason: "hub " + hub + " no longer has its verdict", Priority: workflows.PriorityBackground})
	if errors.Is(err, ErrUnknownImage) {
		return false, nil
	}
	return err == nil, err
}
