package activities

import (
	"context"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/perceptor/perceptor/model"
)

// changesAtMost bounds one answer: 5,000 changes are about a mebibyte, half of what an answer may have.
const changesAtMost = 5000

// ReadChangesInput is a window of a hub's own time.
type ReadChangesInput struct {
	Hub   string    `json:"hub"`
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	// Known is the address of a verdict that the hub had a moment ago; empty asks for none.
	Known string `json:"known,omitempty"`
}

// ReadChangesResult is what happened in the window, or why the hub did not say.
type ReadChangesResult struct {
	// Changes has one for each version, the newest, oldest first.
	Changes []model.HubChange `json:"changes,omitempty"`
	// Until is the hub's time up to which the answer is complete.
	Until time.Time `json:"until"`
	// Now is the hub's time when it answered.
	Now time.Time `json:"now"`
	// TooMany says that more happened than an answer holds, all at the same time: Changes is empty then.
	TooMany bool `json:"tooMany,omitempty"`
	// Identity is the hub's own, and KnownGone says that it does not have the known verdict any longer.
	Identity  model.HubIdentity `json:"identity,omitzero"`
	KnownGone bool              `json:"knownGone,omitempty"`
	// NoList says why this hub gives this login no such list, however often it is asked; empty when it does.
	NoList  string      `json:"noList,omitempty"`
	Trouble *HubTrouble `json:"trouble,omitempty"`
}

// ReadChanges asks a hub what happened to its project versions.
func (s *HubSteps) ReadChanges(ctx context.Context, in ReadChangesInput) (ReadChangesResult, error) {
	h, err := s.hub(in.Hub)
	if err != nil {
		return ReadChangesResult{}, asApplicationError(err)
	}
	beat := startHeartbeat(ctx, askingHub(in.Hub))
	defer beat.end()
	identity, gone, err := compareData(ctx, h, in.Known)
	if err != nil {
		trouble, retry := troubleOrRetry(ctx, err, int(activity.GetInfo(ctx).Attempt))
		return ReadChangesResult{Trouble: trouble}, retry
	}
	changes, now, err := h.Changes(ctx, in.Since, in.Until)
	if err == nil {
		result := boundChanges(newestOfEach(changes), in.Until, now)
		result.Identity, result.KnownGone = identity, gone
		return result, nil
	}
	trouble, retry := troubleOrRetry(ctx, err, int(activity.GetInfo(ctx).Attempt))
	if trouble != nil && !trouble.Class.Temporary() {
		return ReadChangesResult{NoList: trouble.Reason, Identity: identity, KnownGone: gone}, nil
	}
	return ReadChangesResult{Trouble: trouble}, retry
}

// compareData asks a hub who it is, and whether it still has a verdict that it had. A hub that refuses to say either is taken for the
// same: its verdicts are read again by their changes and by age.
func compareData(ctx context.Context, h Hub, known string) (identity model.HubIdentity, gone bool, err error) {
	identity, err = h.Identity(ctx)
	if class, _ := ClassOf(err); err != nil && class.Temporary() {
		return identity, false, err
	}
	if known == "" {
		return identity, false, nil
	}
	_, err = h.DigestsOf(ctx, known)
	class, _ := ClassOf(err)
	if err != nil && class.Temporary() {
		return identity, false, err
	}
	return identity, err != nil && class == model.NotFound, nil
}

// newestOfEach keeps one change for each version. That a version is gone outweighs whatever else happened to it.
func newestOfEach(changes []model.HubChange) []model.HubChange {
	newest := map[string]model.HubChange{}
	for _, c := range changes {
		was, known := newest[c.VersionURL]
		switch {
		case !known:
			newest[c.VersionURL] = c
		case c.Kind == model.HubChangeRemoved, was.Kind != model.HubChangeRemoved && c.At.After(was.At):
			newest[c.VersionURL] = c
		}
	}
	kept := make([]model.HubChange, 0, len(newest))
	for _, c := range newest {
		kept = append(kept, c)
	}
	slices.SortFunc(kept, func(a, b model.HubChange) int {
		if order := a.At.Compare(b.At); order != 0 {
			return order
		}
		return strings.Compare(a.VersionURL, b.VersionURL)
	})
	return kept
}

// bounded cuts the answer at a time, so that the next window goes on there.
func boundChanges(changes []model.HubChange, until, now time.Time) ReadChangesResult {
	result := ReadChangesResult{Changes: changes, Until: until, Now: now}
	if now.Before(until) {
		result.Until = now
	}
	if len(changes) <= changesAtMost {
		return result
	}
	cut := changes[changesAtMost].At
	result.Changes = slices.DeleteFunc(changes, func(c model.HubChange) bool { return !c.At.Before(cut) })
	if len(result.Changes) == 0 {
		result.TooMany = true
		return result
	}
	result.Until = cut
	return result
}

// FindImagesInput names a project version.
type FindImagesInput struct {
	Hub        string `json:"hub"`
	VersionURL string `json:"versionURL"`
}

// FindImagesResult are the images behind it; none when it is gone.
type FindImagesResult struct {
	Digests []model.Digest `json:"digests,omitempty"`
	Trouble *HubTrouble    `json:"trouble,omitempty"`
}

// FindImages asks a hub which images a project version is of.
func (s *HubSteps) FindImages(ctx context.Context, in FindImagesInput) (FindImagesResult, error) {
	h, err := s.hub(in.Hub)
	if err != nil {
		return FindImagesResult{}, asApplicationError(err)
	}
	beat := startHeartbeat(ctx, askingHub(in.Hub))
	defer beat.end()
	digests, err := h.DigestsOf(ctx, in.VersionURL)
	if err == nil {
		return FindImagesResult{Digests: digests}, nil
	}
	trouble, retry := troubleOrRetry(ctx, err, int(activity.GetInfo(ctx).Attempt))
	if trouble != nil && trouble.Class == model.NotFound {
		return FindImagesResult{}, nil
	}
	return FindImagesResult{Trouble: trouble}, retry
}
