// Package unknowns has one image, and one container, of each kind of UNKNOWN, for the tests that ask every view about them: none says
// that it is fine.
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
	ended := whole
	ended.ExceptionsEnd = Judged.Add(time.Hour)
	ended.ValidUntil = ended.ExceptionsEnd
	undated := model.Coverage{Components: 3, Assessed: 3, Data: []model.DataSource{{Ecosystem: "npm", Source: "https://osv.example", Complete: true}}}
	undated.ValidUntil, undated.Satisfied = time.Unix(0, 0).UTC(), true
	strict := whole
	strict.NeedsRating, strict.Satisfied, strict.Reason = 1, false, "1 findings need a rating"
	return append(kinds,
		Kind{Name: "expired", Said: model.NotInViolation, Coverage: expired, Reason: "vulnerability data expired on"},
		Kind{Name: "expired, accepted", Said: model.InViolationOverridden, Coverage: expired, Reason: "vulnerability data expired on"},
		Kind{Name: "accepted until an exception ended", Said: model.InViolationOverridden, Coverage: ended, Reason: "an exception ended on"},
		Kind{Name: "green by data without an age", Said: model.NotInViolation, Coverage: undated, Reason: "vulnerability data expired on"},
		Kind{Name: "green without coverage", Said: model.NotInViolation, Reason: "no coverage is known"},
		Kind{Name: "green with too little coverage", Said: model.NotInViolation, Coverage: partly, Reason: "only sample data"},
		Kind{Name: "accepted with too little coverage", Said: model.InViolationOverridden, Coverage: partly, Reason: "only sample data"},
		Kind{Name: "needs a rating", Said: model.OverallUnknown, Coverage: strict, Reason: "need a rating"},
		Kind{Name: "managed by a hub that found nothing", Said: model.OverallUnknown, Coverage: managed, Reason: string(model.NothingRecognized)},
	)
}

// PodKind is one way in which a pod's container has no verdict at all.
type PodKind struct {
	Name  string
	Image model.Summary
	// Reason is a part of what every view with room for it says; empty where there is none yet.
	Reason string
}

// Pods are the kinds of containers without a verdict: those whose image is not known, and those whose image was not scanned.
func Pods() []PodKind {
	failed := func(class model.FailureClass, step, reason string) model.Summary {
		return model.Summary{
			Status: model.StatusFailed, OverallStatus: model.OverallUnknown,
			Failure: &model.Failure{Class: class, Reason: reason, Step: step, Attempt: 2, At: Judged, NextTry: Judged.Add(time.Hour)},
		}
	}
	waiting := func(status model.ScanStatus) model.Summary {
		return model.Summary{Status: status, OverallStatus: model.OverallUnknown}
	}
	const resolve = "ResolveImages"
	return []PodKind{
		{"nodes unreadable", failed(model.Unsupported, resolve, "the platform that it runs on is not known; can the perceiver read the nodes?"), "can the perceiver read the nodes"},
		{"another configuration", failed(model.Invalid, resolve, "the tag now leads to the configuration of another image"), "another image"},
		{"no such image", failed(model.NotFound, resolve, "the registry has no such image"), "no such image"},
		{"not from a registry", failed(model.Unsupported, resolve, "the image was built on its host, and no registry has it"), "no registry has it"},
		{"registry away", failed(model.Transient, resolve, "the registry did not answer in time"), "did not answer in time"},
		{"scan failed", failed(model.Invalid, "GenerateSBOM", "the image unpacks to more than the scratch quota"), "scratch quota"},
		{"hub lost the scan", failed(model.NotFound, "FetchVerdict", "the hub has lost the scan"), "lost the scan"},
		{"not seen yet", waiting(model.StatusUnknown), ""},
		{"in the queue", waiting(model.StatusInQueue), ""},
		{"cataloging", waiting(model.StatusRunningScanClient), ""},
		{"at the hub", waiting(model.StatusRunningHubScan), ""},
		{"no status at all", model.Summary{}, ""},
		{"green without a scan", model.Summary{Status: model.StatusUnknown, OverallStatus: model.NotInViolation}, ""},
	}
}
