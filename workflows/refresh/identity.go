package refresh

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// noteIdentity has every image of the hub looked at when the hub has lost data: its identity is another, its data are an older copy, or it
// does not have a verdict any longer that it had, and says nothing of having deleted it. An image whose verdict is still there is left
// alone. One whose verdict is gone is UNKNOWN and scanned again.
func (r *refreshHub) noteIdentity(ctx workflow.Context, read activities.ReadChangesResult) {
	s := r.state
	deleted := slices.ContainsFunc(read.Changes, func(c model.HubChange) bool {
		return c.Kind == model.HubChangeRemoved && model.VersionKey(c.VersionURL) == s.Known
	})
	lost := read.Identity.LostSince(s.Identity) || read.KnownGone && !deleted
	if read.KnownGone {
		s.Known = ""
	}
	s.Identity = read.Identity
	if !lost {
		return
	}
	s.Losses++
	s.Seen, s.Known = nil, ""
	before := read.Now
	if before.IsZero() {
		before = workflow.Now(ctx).UTC()
	}
	s.Sweep = &workflows.RefreshSweep{Before: before, Shares: sharesAtOnce}
	r.logger.Error("hub has lost data; all its images are looked at, and those without their verdict are scanned again", "hub", r.hub,
		"server", s.Identity.Server, "error", "its identity is another, or a known verdict is gone")
}
