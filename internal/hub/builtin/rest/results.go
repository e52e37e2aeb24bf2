package rest

import (
	"slices"

	"github.com/perceptor/perceptor/internal/hub/builtin/jobs"
	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
	"github.com/perceptor/perceptor/internal/hub/builtin/store"
	"github.com/perceptor/perceptor/model"
)

// results answers what the hub says of a version as a whole.
type results struct{ *Server }

// getRiskProfile counts components by their worst vulnerability. The other categories are not judged here, so all
// components are UNKNOWN in them.
func (s results) getRiskProfile(c *call) (reply, error) {
	return s.viewOf(c, func(_ *store.Tx, v store.Version) (any, error) {
		categories := map[string]map[string]int{}
		for _, name := range []string{"VULNERABILITY", "LICENSE", "OPERATIONAL", "ACTIVITY", "VERSION"} {
			categories[name] = map[string]int{}
			for _, level := range s.levels() {
				categories[name][level] = 0
			}
			categories[name][jobs.LevelUnknown] = v.Summary.Coverage.Components
		}
		for _, level := range s.levels() {
			categories["VULNERABILITY"][level] = 0
		}
		for level, n := range v.Summary.Levels {
			if n > 0 {
				categories["VULNERABILITY"][s.levelOf(level)] += n
			}
		}
		coverage := coverageOf(v)
		return map[string]any{
			"categories": categories, "bomLastUpdatedAt": stamp(v.Summary.JudgedAt), "notAssessedCount": coverage.Unassessed(),
			"findingCount": v.Summary.Findings, "findingCounts": v.Summary.FindingCounts, "coverage": coverage,
			"_meta": c.metaOf(versionURL(v)+"/risk-profile", allowGet, "version", versionURL(v)),
		}, nil
	})
}

// levels are the levels of a risk profile. Clients of 2018 know no CRITICAL, and fail on it.
func (s *Server) levels() []string {
	if s.old {
		return slices.DeleteFunc(slices.Clone(jobs.Levels), func(level string) bool { return level == string(model.SeverityCritical) })
	}
	return jobs.Levels
}

// levelOf is the level that a client knows for a level of ours.
func (s *Server) levelOf(level string) string {
	switch {
	case s.old && level == string(model.SeverityCritical):
		return string(model.SeverityHigh)
	case s.old && level == string(model.SeverityUnrated):
		return jobs.LevelUnknown
	}
	return level
}

type nameValue struct {
	Name  string `json:"name"`
	Value int    `json:"value"`
}

// coverageOf is what a version's verdict rests on.
func coverageOf(v store.Version) model.Coverage {
	if !v.Summary.Judged() {
		return model.Coverage{Reason: "no scan has finished"}
	}
	return v.Summary.Coverage
}

// getCoverage answers what the verdict rests on, as it holds now. It is an addition, and plain JSON.
func (s results) getCoverage(c *call) (reply, error) {
	return s.viewOf(c, func(_ *store.Tx, v store.Version) (any, error) {
		coverage := coverageOf(v)
		return struct {
			model.Coverage
			OverallStatus model.OverallStatus `json:"overallStatus"`
			JudgedAt      stamp               `json:"judgedAt"`
			Meta          meta                `json:"_meta"`
		}{coverage, s.statusOf(v), stamp(v.Summary.JudgedAt), c.metaOf(versionURL(v)+"/coverage", allowGet, "version", versionURL(v))}, nil
	})
}

// statusOf is the overall status as it holds now: UNKNOWN while nothing was scanned, where the coverage does not satisfy the
// policy, and where the data expired. No hub may call any of these clean.
func (s results) statusOf(v store.Version) model.OverallStatus {
	if !v.Summary.Judged() {
		return model.OverallUnknown
	}
	return model.Verdict{OverallStatus: v.Summary.Status, Coverage: v.Summary.Coverage}.EffectiveStatus(s.jobs.Now())
}

// getPolicyStatus answers the overall status. UNKNOWN is an addition for which the API has no word; a client that does not
// know it takes it for neither of its own words, so never for NOT_IN_VIOLATION. The reason stands beside it.
func (s results) getPolicyStatus(c *call) (reply, error) {
	return s.viewOf(c, func(_ *store.Tx, v store.Version) (any, error) {
		statuses, severities := []nameValue{}, []nameValue{}
		for _, status := range []model.OverallStatus{model.InViolation, model.InViolationOverridden, model.NotInViolation} {
			statuses = append(statuses, nameValue{string(status), v.Summary.Policies[status]})
		}
		for _, severity := range judge.RuleSeverities {
			severities = append(severities, nameValue{severity, v.Summary.PolicySeverities[severity]})
		}
		// A component that is neither assessed nor in violation has the status UNKNOWN, an addition as above.
		// Clients of 2018 fail on it; for them the overall status alone says UNKNOWN.
		if n := v.Summary.Policies[model.OverallUnknown]; n > 0 && !s.old {
			statuses = append(statuses, nameValue{string(model.OverallUnknown), n})
		}
		return map[string]any{
			"overallStatus": s.statusOf(v), "overallStatusReason": coverageOf(v).Summary().ReasonAt(s.jobs.Now()),
			"updatedAt": stamp(v.Summary.JudgedAt), "componentVersionStatusCounts": statuses,
			"componentVersionPolicyViolationDetails": map[string]any{"name": model.InViolation, "severityLevels": severities},
			"_meta":                                  c.metaOf(versionURL(v)+"/policy-status", allowGet, "version", versionURL(v)),
		}, nil
	})
}

// scansFor reads the scans into a version, newest first within each code location.
func scansFor(tx *store.Tx, v store.Version) ([]store.Scan, error) {
	var all []store.Scan
	err := tx.Versions().EachCodeLocation(v.ID, func(id string) error {
		scans, err := tx.Scans().Of(id)
		all = append(all, scans...)
		return err
	})
	return all, err
}

func (s results) getBOMStatus(c *call) (reply, error) {
	return s.viewOf(c, func(tx *store.Tx, v store.Version) (any, error) {
		scans, err := scansFor(tx, v)
		status := "UP_TO_DATE"
		seen := map[string]bool{}
		for _, s := range scans {
			if s.State == store.ScanStarted {
				status = "PROCESSING"
				break
			}
			if s.State == store.ScanFailure && !seen[s.CodeLocation] {
				status = "UP_TO_DATE_WITH_ERRORS"
			}
			seen[s.CodeLocation] = true
		}
		return map[string]any{
			"status": status, "lastBomUpdateDate": stamp(v.Summary.JudgedAt), "lastScanDate": stamp(v.LastScan),
			"_meta": c.metaOf(versionURL(v)+"/bom-status", allowGet, "version", versionURL(v)),
		}, err
	})
}

// getScanBOMStatus answers whether one scan is in the verdict. Scan and verdict end in one step here, so SUCCESS means both.
func (s results) getScanBOMStatus(c *call) (reply, error) {
	return s.viewOf(c, func(tx *store.Tx, v store.Version) (any, error) {
		s, err := tx.Scans().Find(c.PathValue("scan"))
		if err != nil {
			return nil, err
		}
		l, err := tx.CodeLocations().Find(s.CodeLocation)
		if err != nil {
			return nil, err
		}
		status := map[store.ScanState]string{store.ScanStarted: "BUILDING", store.ScanSuccess: "SUCCESS", store.ScanFailure: "FAILURE"}[s.State]
		if l.Version != v.ID && s.State != store.ScanFailure {
			status = "NOT_INCLUDED"
		}
		return map[string]any{
			"status": status, "_meta": c.metaOf(versionURL(v)+"/bom-status/"+s.ID, allowGet, "scan", scanURL(s.ID)),
		}, nil
	})
}
