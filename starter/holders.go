package starter

import (
	"context"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/perceptor/perceptor/activities"
)

// IsOpen reports whether a scan is running; when its chain is given, whether it is that chain.
func (s *Starter) IsOpen(ctx context.Context, h activities.Holder) (bool, error) {
	described, err := s.temporal.DescribeWorkflowExecution(ctx, h.WorkflowID, "")
	if isNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("describe %s: %w", h.WorkflowID, err)
	}
	info := described.GetWorkflowExecutionInfo()
	if info.GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return false, nil
	}
	return h.Chain == "" || info.GetFirstRunId() == h.Chain, nil
}

// SignalScan sends a signal to the newest run of a scan; it reports false when none is open.
func (s *Starter) SignalScan(ctx context.Context, workflowID, name string, value any) (bool, error) {
	err := s.temporal.SignalWorkflow(ctx, workflowID, "", name, value)
	if isNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("signal %s: %w", workflowID, err)
	}
	return true, nil
}

// openScans is answered from visibility, which lags a little: the pool, which lost its state, also waits for holders to
// announce themselves.
const openScans = `WorkflowType = "ScanImage" AND ExecutionStatus = "Running"`

// ListOpen lists every scan that is open.
func (s *Starter) ListOpen(ctx context.Context) ([]activities.Holder, error) {
	var holders []activities.Holder
	var token []byte
	for {
		page, err := s.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: openScans, PageSize: 1000, NextPageToken: token})
		if err != nil {
			return nil, fmt.Errorf("list open scans: %w", err)
		}
		for _, each := range page.GetExecutions() {
			chain := each.GetFirstRunId()
			if chain == "" {
				chain = each.GetExecution().GetRunId()
			}
			holders = append(holders, activities.Holder{WorkflowID: each.GetExecution().GetWorkflowId(), Chain: chain})
		}
		if token = page.GetNextPageToken(); len(token) == 0 {
			return holders, nil
		}
	}
}
