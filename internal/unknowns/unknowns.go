// Package unknowns has one image of each kind of UNKNOWN, for the tests that ask every view about them: none says it is fine.
package unknowns

import (
	"time"

	"github.com/perceptor/perceptor/model"
)

// Judged is when the verdicts were given.
var Judged = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Kind is one way in which an image is UNKNOWN although a hub has given a verdict.
type Kind struct {
	Name string
	// Said is the overall status that is stored: some drivers say green all the same, and data expire later.
	Said     model.OverallStatus
	Coverage model.Coverage
	// Reason is a part of what every view with room for it says.
	Reason string
}

// Verdict is the verdict that is stored.
func (k Kind) Verdict() model.Verdict {
	return model.Verdict{
		Hub: "main", OverallStatus: k.Said, Components: k.Coverage.Components, NotAssessed: k.Coverage.Unassessed(), Coverage: k.Coverage,
		VersionURL: "https://hub.example/v/1", ComponentsURL: "https://hub.example/v/1/components", JudgedAt: Judged, ReadAt: Judged, ScanStarted: Judged,
	}
}

// Summary is the same for whatever runs the image.
func (k Kind) Summary(d model.Digest) model.Summary {
	return model.Summary{
		Digest: d, Version: model.Version{Epoch: 1, Counter: 1}, Status: model.StatusComplete, OverallStatus: k.Said, NotAssessed: k.Coverage.Unassessed(),
		Coverage: k.Coverage.Summary(), ComponentsURL: "https://hub.example/v/1/components", Hubs: []string{"main"}, JudgedAt: Judged,
	}
}

// All are the kinds: one for each reason, and those that have none.
func All() []Kind {
	valid := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	data := []model.DataSource{{Ecosystem: "npm", Source: "https://osv.example", AsOf: Judged, Complete: true}}
	var kinds []Kind
	for _, reason := range model.NotAssessedReasons {
		c := model.Coverage{Components: 3, Assessed: 2, Data: data, ValidUntil: valid, Reason: "1 of 3 not assessed: 1 " + string(reason)}
		if reason == model.NothingRecognized {
			c = model.Coverage{Reason: string(reason)}
		}
		c.Leave(reason, 1)
		kinds = append(kinds, Kind{Name: string(reason), Said: model.OverallUnknown, Coverage: c, Reason: string(reason)})
	}
	whole := model.Coverage{Components: 3, Assessed: 3, Data: data, ValidUntil: valid, Satisfied: true}
	expired := whole
	expired.ValidUntil = Judged.Add(model.DataValidFor)
	managed := model.Coverage{ManagedByHub: true, Reason: string(model.NothingRecognized)}
	partly := whole
	partly.Assessed, partly.Satisfied, partly.Reason = 2, false, "1 of 3 not assessed: 1 only sample data"
	strict := whole
	strict.NeedsRating, strict.Satisfied, strict.Reason = 1, false, "1 findings need a rating"
	return append(kinds,
		Kind{Name: "expired", Said: model.NotInViolation, Coverage: expired, Reason: "vulnerability data expired on"},
		Kind{Name: "expired, accepted", Said: model.InViolationOverridden, Coverage: expired, Reason: "vulnerability data expired on"},
		Kind{Name: "green without coverage", Said: model.NotInViolation, Reason: "no coverage is known"},
		Kind{Name: "green with too little coverage", Said: model.NotInViolation, Coverage: partly, Reason: "only sample data"},
		Kind{Name: "accepted with too little coverage", Said: model.InViolationOverridden, Coverage: partly, Reason: "only sample data"},
		Kind{Name: "needs a rating", Said: model.OverallUnknown, Coverage: strict, Reason: "need a rating"},
		Kind{Name: "managed by a hub that found nothing", Said: model.OverallUnknown, Coverage: managed, Reason: string(model.NothingRecognized)},
	)
}
