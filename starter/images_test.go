package starter

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

func TestFilterCannotBecomeAConditionOfItsOwn(t *testing.T) {
	f := ImageFilter{Repository: `x" OR WorkflowType = "HubPool`, Status: model.StatusFailed}
	want := `WorkflowType = "Image" AND ExecutionStatus = "Running" AND PerceptorRepository = "x\" OR WorkflowType = \"HubPool"` +
		` AND PerceptorScanStatus = "Failed"`
	require.Equal(t, want, f.query(time.Now()))
	require.NotContains(t, ImageFilter{}.query(time.Now()), "Perceptor")
}

// TestGreenFiltersLeaveOutWhatHasExpired: a list of what is green has no image whose data have expired; the list of UNKNOWN has it.
func TestGreenFiltersLeaveOutWhatHasExpired(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const base = `WorkflowType = "Image" AND ExecutionStatus = "Running"`
	for status, want := range map[model.OverallStatus]string{
		"":                   base,
		model.InViolation:    base + ` AND PerceptorOverallStatus = "IN_VIOLATION"`,
		model.NotInViolation: base + ` AND PerceptorOverallStatus = "NOT_IN_VIOLATION" AND (PerceptorValidUntil IS NULL OR PerceptorValidUntil > "2026-03-01T12:00:00Z")`,
		model.OverallUnknown: base + ` AND (PerceptorOverallStatus = "UNKNOWN" OR PerceptorOverallStatus != "IN_VIOLATION" AND PerceptorValidUntil <= "2026-03-01T12:00:00Z")`,
	} {
		require.Equal(t, want, ImageFilter{OverallStatus: status}.query(now))
	}
}

func TestRowsAsTheyHoldAtATime(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, row := range map[string]struct {
		row    ImageRow
		want   model.OverallStatus
		reason string
	}{
		"good":    {ImageRow{OverallStatus: model.NotInViolation, Assessed: "3 of 3", ValidUntil: now.Add(time.Second)}, model.NotInViolation, ""},
		"managed": {ImageRow{OverallStatus: model.NotInViolation, Assessed: "3, by hub"}, model.NotInViolation, ""},
		"expired": {
			ImageRow{OverallStatus: model.NotInViolation, Assessed: "3 of 3", ValidUntil: now},
			model.OverallUnknown,
			"vulnerability data expired on 2026-03-01T12:00:00Z",
		},
		"expired, accepted": {
			ImageRow{OverallStatus: model.InViolationOverridden, Assessed: "3 of 3", ValidUntil: now},
			model.OverallUnknown,
			"vulnerability data expired on 2026-03-01T12:00:00Z, or an exception ended on that day",
		},
		"no coverage":   {ImageRow{OverallStatus: model.NotInViolation}, model.OverallUnknown, "no coverage is known"},
		"insufficient":  {ImageRow{OverallStatus: model.NotInViolation, Assessed: "2 of 3", Reason: "why"}, model.OverallUnknown, "why"},
		"in violation":  {ImageRow{OverallStatus: model.InViolation, Assessed: "2 of 3", Reason: "why", ValidUntil: now}, model.InViolation, "why"},
		"never scanned": {ImageRow{OverallStatus: model.OverallUnknown}, model.OverallUnknown, ""},
	} {
		got := row.row.at(now)
		require.Equal(t, row.want, got.OverallStatus, name)
		require.Equal(t, row.reason, got.Reason, name)
	}
}
