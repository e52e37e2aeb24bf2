package starter

import (
	"context"
	"fmt"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// Refresh asks the hubs whether they judge an image otherwise than its verdicts say, without any scan. What is newer is
// told to the image's workflow and stands in the view returned.
func (s *Starter) Refresh(ctx context.Context, view workflows.ImageView) (workflows.ImageView, error) {
	fresh := view
	fresh.Verdicts = nil
	for i, old := range view.Verdicts {
		newer, err := s.judgeAgain(ctx, old)
		if err != nil {
			return view, fmt.Errorf("ask hub %s again: %w", old.Hub, err)
		}
		fresh.Verdicts = append(fresh.Verdicts, newer)
		if i == 0 {
			fresh.OverallStatus = newer.OverallStatus
		}
		fresh.OverallStatus = fresh.OverallStatus.Worst(newer.OverallStatus)
		if !newer.JudgedAt.After(old.JudgedAt) {
			continue
		}
		err = s.temporal.SignalWorkflow(ctx, workflows.ImageID(view.Digest), "", workflows.SignalJudged.Name, workflows.Judged{Verdict: newer})
		if err != nil {
			return view, fmt.Errorf("tell image %s: %w", view.Digest, err)
		}
	}
	return fresh, nil
}

func (s *Starter) judgeAgain(ctx context.Context, old model.Verdict) (model.Verdict, error) {
	var read activities.FetchVerdictResult
	in := activities.FetchVerdictInput{Scan: model.HubScan{Hub: old.Hub, VersionURL: old.VersionURL, State: model.HubScanComplete}}
	if err := s.askHub(ctx, old.Hub, "verdict", hubSteps.FetchVerdict, in, &read); err != nil {
		return old, err
	}
	if read.Trouble != nil {
		return old, fmt.Errorf("%s: %s", read.Trouble.Class, read.Trouble.Reason)
	}
	read.Verdict.ScanStarted, read.Verdict.SkippedHubs = old.ScanStarted, old.SkippedHubs
	return read.Verdict, nil
}
