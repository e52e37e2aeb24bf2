package image

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// Nil pointers by which the workflow names its steps.
var (
	scanSteps      *activities.ScanSteps
	inventorySteps *activities.InventorySteps
)

// startScan starts the scan of this image. The scan reports by itself, and outlives this run. The loop goes on only when the start
// is known, so that no second one is tried. A start that is not known to have worked is tried again, and then finds its scan.
func (i *imageRun) startScan(ctx workflow.Context) {
	i.StartScan(workflow.Now(ctx))
	in := activities.StartScanInput{Input: i.scanInput(), Key: fmt.Sprintf("%s/%d", workflow.GetInfo(ctx).FirstRunID, i.Starts)}
	var scan activities.StartScanResult
	err := workflow.ExecuteLocalActivity(workflows.LocalStep(ctx, "start the scan"), scanSteps.StartScan, in).Get(ctx, &scan)
	if err != nil {
		i.logger.Warn("scan could not be started", "error", err)
		i.ScanLost(workflow.Now(ctx), false)
		return
	}
	i.ScanStarted(scan.Chain)
	if scan.Other {
		i.ScanWasRunning()
	}
}

func (i *imageRun) scanInput() workflows.ScanImageInput {
	in := workflows.ScanImageInput{
		Digest: i.Digest, Names: i.Names, Domain: i.Domain, Priority: i.CurrentPriority(), Namespace: i.Namespace,
		Rescan: i.IsRescan(), AskAll: i.Attempts.Unsure, Attempt: i.Attempts.Failures + 1, HubNames: model.DefaultHubNames(i.Names[0], i.Digest),
	}
	if in.Domain == "" {
		in.Domain = workflows.DefaultDomain
	}
	if i.HubNames != nil {
		in.HubNames = *i.HubNames
	}
	return in
}

// scanLost forgets the scan under way, which has closed without a report, and has the pool of hubs ask the hub about its lease.
// The pool would find out by itself, but only after a minute or two, and the hub would be idle meanwhile.
func (i *imageRun) scanLost(ctx workflow.Context) {
	chain := i.ScanLost(workflow.Now(ctx), true)
	if chain == "" {
		return
	}
	signal := workflows.SignalRelease.Name
	gone := workflows.Release{Chain: chain, Holder: workflows.ScanImageID(i.Digest), Digest: i.Digest, Unfinished: true}
	step := workflow.ExecuteLocalActivity(workflows.LocalStep(ctx, signal), scanSteps.SignalPool, activities.SignalPoolInput{Name: signal, Value: gone})
	if err := step.Get(ctx, nil); err != nil {
		i.logger.Warn("pool of hubs could not be notified of a lost scan", "error", err)
	}
}

// checkScan asks the server whether the scan is open. A report that has arrived meanwhile comes first. A scan that is still under way
// here and has closed did so without a report: it was terminated, or ended in a way that no one foresaw.
func (i *imageRun) checkScan(ctx workflow.Context) {
	scan := i.Scan
	scan.ScanChecked(workflow.Now(ctx))
	var answer activities.CheckScanResult
	err := workflow.ExecuteLocalActivity(workflows.LocalStep(ctx, "is the scan still open"), scanSteps.CheckScan,
		activities.CheckScanInput{Scan: activities.Holder{WorkflowID: workflows.ScanImageID(i.Digest), Chain: scan.Chain}}).Get(ctx, &answer)
	i.inbox.ReceivePending(ctx)
	if err == nil && !answer.Open && i.Scan == scan {
		i.scanLost(ctx)
	}
}

// cancelScan asks the scan to stop if it still waits in the backlog. A scan that has begun finishes.
func (i *imageRun) cancelScan(ctx workflow.Context) {
	i.Scan.Unwanted = true
	if err := workflows.SignalUnwanted.SendTo(ctx, workflows.ScanImageID(i.Digest), workflows.Unwanted{}).Get(ctx, nil); err != nil {
		i.logger.Info("unwanted scan could not be signaled: it has closed", "error", err)
		i.DoubtScan()
	}
}

// prioritizeScan sends the scan its new priority. A scan that has closed needs none.
func (i *imageRun) prioritizeScan(ctx workflow.Context) {
	i.Scan.Priority = i.CurrentPriority()
	prioritize := workflows.Prioritize{Priority: i.Scan.Priority, Namespace: i.Namespace}
	if err := workflows.SignalPrioritize.SendTo(ctx, workflows.ScanImageID(i.Digest), prioritize).Get(ctx, nil); err != nil {
		i.logger.Info("scan could not be prioritized: it has closed", "error", err)
		i.DoubtScan()
	}
}

// publish sends the summary to the next inventories. Those that come meanwhile are in the next batch.
func (i *imageRun) publish(ctx workflow.Context) {
	in := activities.PublishSummaryInput{Summary: *i.Publication.Summary}
	in.To, i.publishing = i.TakeBatch()
	i.publication = workflow.ExecuteActivity(workflows.LightStep(ctx, "send the summary to inventories"), inventorySteps.PublishSummary, in)
}

// published takes what became of the step.
func (i *imageRun) published(ctx workflow.Context) {
	var result activities.PublishSummaryResult
	if err := i.publication.Get(ctx, &result); err != nil {
		i.logger.Warn("summary could not be published", "error", err)
		for _, r := range i.publishing {
			result.Failed = append(result.Failed, r.ID)
		}
	}
	i.BatchSent(workflow.Now(ctx), i.publishing, result.Closed, result.Failed)
	i.publication, i.publishing = nil, nil
}
