package refresh

import (
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// handleChanges finds out whose the next changed versions are, and has those read again that the images do not know yet.
func (r *refreshHub) handleChanges(ctx workflow.Context) error {
	s := r.state
	batch := s.Waiting[:min(len(s.Waiting), refreshBatch)]
	in := activities.ListJudgedInput{Hub: r.hub}
	for _, c := range batch {
		in.Versions = append(in.Versions, model.VersionKey(c.VersionURL))
	}
	var known activities.ListJudgedResult
	err := workflow.ExecuteActivity(workflows.LightStep(ctx, "which images have changed versions"), refreshSteps.ListJudged, in).Get(ctx, &known)
	if err != nil {
		return fmt.Errorf("list the images of changed versions: %w", err)
	}
	left := make([]bool, len(batch))
	err = r.atOnce(ctx, len(batch), func(ctx workflow.Context, i int) error {
		left[i] = true
		dealt, err := r.handleChange(ctx, batch[i], known.Images)
		left[i] = !dealt
		return err
	})
	if err != nil {
		return err
	}
	var waiting []model.HubChange
	for i, c := range batch {
		if left[i] {
			waiting = append(waiting, c)
		}
	}
	s.Waiting = append(waiting, s.Waiting[len(batch):]...)
	return nil
}

// atOnce does a few things at a time. It begins nothing after a step has failed.
func (r *refreshHub) atOnce(ctx workflow.Context, count int, do func(workflow.Context, int) error) error {
	turns, all := workflow.NewSemaphore(ctx, refreshAtOnce), workflow.NewWaitGroup(ctx)
	var failed error
	for i := range count {
		if err := turns.Acquire(ctx, 1); err != nil {
			return err
		}
		all.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer func() { turns.Release(1); all.Done() }()
			if failed != nil {
				return
			}
			if err := do(ctx, i); err != nil && failed == nil {
				failed = err
			}
		})
	}
	all.Wait(ctx)
	return failed
}

// handleChange handles one changed version and reports whether it could.
func (r *refreshHub) handleChange(ctx workflow.Context, c model.HubChange, judged []activities.JudgedImage) (bool, error) {
	if r.state.Trouble != nil {
		return false, nil
	}
	key := model.VersionKey(c.VersionURL)
	known := slices.ContainsFunc(judged, func(j activities.JudgedImage) bool { return j.Version == key })
	var digests []model.Digest
	for _, j := range judged {
		if j.Version == key && (c.Kind == model.HubChangeRemoved || j.AsOf.Before(c.At)) {
			digests = append(digests, j.Digest)
		}
	}
	if known && c.Kind != model.HubChangeRemoved {
		r.state.Known = key
	}
	if !known && c.Kind != model.HubChangeRemoved {
		if !r.now.IsZero() && c.At.Add(refreshSettle).After(r.now) {
			// Perhaps a scan of our own that ends just now.
			r.state.Later = append(r.state.Later, c)
			return true, nil
		}
		found, err := r.findImages(ctx, c.VersionURL)
		if err != nil || r.state.Trouble != nil {
			return false, err
		}
		digests = found
	}
	if len(digests) > 0 {
		if err := r.readAgain(ctx, key, digests); err != nil || r.state.Trouble != nil {
			return false, err
		}
	}
	r.noteDone(c)
	return true, nil
}

// findImages asks the hub whose a version is that no verdict names.
func (r *refreshHub) findImages(ctx workflow.Context, versionURL string) ([]model.Digest, error) {
	var found activities.FindImagesResult
	err := workflow.ExecuteActivity(workflows.RefreshStep(ctx, r.hub, "which image has this version"), hubSteps.FindImages,
		activities.FindImagesInput{Hub: r.hub, VersionURL: versionURL}).Get(ctx, &found)
	if err != nil {
		return nil, r.noteUnanswered(ctx, err)
	}
	if found.Trouble != nil {
		r.noteTrouble(ctx, found.Trouble)
	}
	return found.Digests, nil
}

// readAgain reads one version's verdict and notifies its images. When the version is gone, they are scanned again.
func (r *refreshHub) readAgain(ctx workflow.Context, version string, digests []model.Digest) error {
	var read activities.FetchVerdictResult
	err := workflow.ExecuteActivity(workflows.RefreshStep(ctx, r.hub, "read a verdict again"), hubSteps.FetchVerdict,
		activities.FetchVerdictInput{Scan: model.HubScan{Hub: r.hub, VersionURL: version, State: model.HubScanComplete}}).Get(ctx, &read)
	if err != nil {
		return r.noteUnanswered(ctx, err)
	}
	notify := activities.NotifyJudgedInput{Digests: digests, Hub: r.hub, Version: version}
	switch {
	case read.Trouble == nil:
		notify.Verdict = &read.Verdict
		r.state.Read++
		r.state.Known = version
	case read.Trouble.Class == model.NotFound:
		r.logger.Info("version deleted at the hub: its images are scanned again", "hub", r.hub, "version", version)
	default:
		r.noteTrouble(ctx, read.Trouble)
		return nil
	}
	r.noteSuccess(ctx)
	var notified activities.NotifyJudgedResult
	if err := workflow.ExecuteActivity(workflows.LightStep(ctx, "notify the images"), refreshSteps.NotifyJudged, notify).Get(ctx, &notified); err != nil {
		return fmt.Errorf("notify the images of %s: %w", version, err)
	}
	if notify.Verdict == nil {
		r.state.Gone += notified.Notified
	} else {
		r.state.Notified += notified.Notified
	}
	return nil
}

func (r *refreshHub) sweepDue(ctx workflow.Context) bool {
	s := r.state.Sweep
	return s != nil && !workflow.Now(ctx).Before(s.Due)
}

// A sweep by age takes small shares, one after the other over the day; one that follows an event takes few and large ones.
const (
	sharesByAge  = 256
	sharesAtOnce = 16
)

// sweep looks at one share of the hub's images and has those read again whose verdict is older than the sweep.
func (r *refreshHub) sweep(ctx workflow.Context) error {
	s := r.state.Sweep
	share := fmt.Sprintf("%0*x", len(fmt.Sprintf("%x", s.Shares-1)), s.Next)
	var judged activities.ListJudgedResult
	err := workflow.ExecuteActivity(workflows.LightStep(ctx, "which images are judged, share "+share), refreshSteps.ListJudged,
		activities.ListJudgedInput{Hub: r.hub, Share: share}).Get(ctx, &judged)
	if err != nil {
		return fmt.Errorf("list a share of the images: %w", err)
	}
	old := slices.DeleteFunc(judged.Images, func(j activities.JudgedImage) bool { return j.Digest <= s.After || !j.AsOf.Before(s.Before) })
	slices.SortFunc(old, func(a, b activities.JudgedImage) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	batch := old[:min(len(old), refreshBatch)]
	err = r.atOnce(ctx, len(batch), func(ctx workflow.Context, i int) error {
		if r.state.Trouble != nil {
			return nil
		}
		return r.readAgain(ctx, batch[i].Version, []model.Digest{batch[i].Digest})
	})
	if err != nil || r.state.Trouble != nil {
		return err
	}
	if len(batch) < len(old) {
		s.After = batch[len(batch)-1].Digest
		return nil
	}
	r.nextShare(ctx)
	return nil
}

// nextShare goes on to the next share, at once or when it is due.
func (r *refreshHub) nextShare(ctx workflow.Context) {
	s := r.state.Sweep
	s.Next, s.After = s.Next+1, ""
	if now := workflow.Now(ctx).UTC(); !s.Due.IsZero() {
		s.Due = s.Due.Add(refreshAge / sharesByAge)
		if now.Sub(s.Due) > refreshAge {
			s.Due = now // nothing is gained by making up for a long pause
		}
	}
	if s.Next < s.Shares {
		return
	}
	if r.state.Sweep = nil; r.state.NoList != "" {
		r.byAge(workflow.Now(ctx).UTC(), s.Due)
	}
}
