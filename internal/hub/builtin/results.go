package builtin

import (
	"net/http"

	"go.etcd.io/bbolt"

	"github.com/perceptor/perceptor/model"
)

// viewVersionOf answers from one version, found by the path.
func (h *Hub) viewVersionOf(c *call, view func(*bbolt.Tx, version) (any, error)) (reply, error) {
	answer := reply{status: http.StatusOK}
	err := h.db.View(func(tx *bbolt.Tx) error {
		v, err := findVersion(tx, c)
		if err != nil {
			return err
		}
		answer.body, err = view(tx, v)
		return err
	})
	return answer, err
}

// getRiskProfile counts components by their worst vulnerability. The other categories are not judged here, so all
// components are UNKNOWN in them.
func (h *Hub) getRiskProfile(c *call) (reply, error) {
	return h.viewVersionOf(c, func(_ *bbolt.Tx, v version) (any, error) {
		categories := map[string]map[string]int{}
		for _, name := range []string{"VULNERABILITY", "LICENSE", "OPERATIONAL", "ACTIVITY", "VERSION"} {
			categories[name] = map[string]int{}
			for _, level := range levels {
				categories[name][level] = 0
			}
			categories[name][levelUnknown] = v.Summary.Components
		}
		for _, level := range levels {
			categories["VULNERABILITY"][level] = v.Summary.Levels[level]
		}
		if n := v.Summary.Levels[string(model.SeverityUnrated)]; n > 0 {
			categories["VULNERABILITY"][string(model.SeverityUnrated)] = n
		}
		return map[string]any{
			"categories": categories, "bomLastUpdatedAt": stamp(v.Summary.JudgedAt), "notAssessedCount": v.Summary.NotAssessed,
			"findingCount": v.Summary.Findings, "_meta": c.metaOf(v.path()+"/risk-profile", allowGet, "version", v.path()),
		}, nil
	})
}

type nameValue struct {
	Name  string `json:"name"`
	Value int    `json:"value"`
}

// getPolicyStatus answers UNKNOWN while nothing was scanned: no hub may call that clean.
func (h *Hub) getPolicyStatus(c *call) (reply, error) {
	return h.viewVersionOf(c, func(_ *bbolt.Tx, v version) (any, error) {
		overall := v.Summary.Status
		if !v.Summary.judged() {
			overall = model.OverallUnknown
		}
		statuses, severities := []nameValue{}, []nameValue{}
		for _, status := range []model.OverallStatus{model.InViolation, model.InViolationOverridden, model.NotInViolation} {
			statuses = append(statuses, nameValue{string(status), v.Summary.Policies[status]})
		}
		for _, severity := range policySeverities {
			severities = append(severities, nameValue{severity, v.Summary.PolicySeverities[severity]})
		}
		return map[string]any{
			"overallStatus": overall, "updatedAt": stamp(v.Summary.JudgedAt), "componentVersionStatusCounts": statuses,
			"componentVersionPolicyViolationDetails": map[string]any{"name": model.InViolation, "severityLevels": severities},
			"_meta":                                  c.metaOf(v.path()+"/policy-status", allowGet, "version", v.path()),
		}, nil
	})
}

// scansFor reads the scans into a version, newest first within each code location.
func scansFor(tx *bbolt.Tx, v version) ([]scan, error) {
	var all []scan
	err := eachUnder(tx, versionLocations, v.ID, func(id, _ string) error {
		scans, err := scansOf(tx, id)
		all = append(all, scans...)
		return err
	})
	return all, err
}

func (h *Hub) getBOMStatus(c *call) (reply, error) {
	return h.viewVersionOf(c, func(tx *bbolt.Tx, v version) (any, error) {
		scans, err := scansFor(tx, v)
		status := "UP_TO_DATE"
		seen := map[string]bool{}
		for _, s := range scans {
			if s.State == scanStarted {
				status = "PROCESSING"
				break
			}
			if s.State == scanFailure && !seen[s.CodeLocation] {
				status = "UP_TO_DATE_WITH_ERRORS"
			}
			seen[s.CodeLocation] = true
		}
		return map[string]any{
			"status": status, "lastBomUpdateDate": stamp(v.Summary.JudgedAt), "lastScanDate": stamp(v.LastScan),
			"_meta": c.metaOf(v.path()+"/bom-status", allowGet, "version", v.path()),
		}, err
	})
}

// getScanBOMStatus tells whether one scan is in the verdict. Scan and verdict end in one step here, so SUCCESS means both.
func (h *Hub) getScanBOMStatus(c *call) (reply, error) {
	return h.viewVersionOf(c, func(tx *bbolt.Tx, v version) (any, error) {
		s, err := findScan(tx, c.PathValue("scan"))
		if err != nil {
			return nil, err
		}
		l, err := findLocation(tx, s.CodeLocation)
		if err != nil {
			return nil, err
		}
		status := map[scanState]string{scanStarted: "BUILDING", scanSuccess: "SUCCESS", scanFailure: "FAILURE"}[s.State]
		if l.Version != v.ID && s.State != scanFailure {
			status = "NOT_INCLUDED"
		}
		return map[string]any{
			"status": status, "_meta": c.metaOf(v.path()+"/bom-status/"+s.ID, allowGet, "scan", scanURL(s.ID)),
		}, nil
	})
}
