package model_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

var judgedAt = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func green() model.Coverage {
	return model.Coverage{
		Components: 3, Assessed: 2, OwnSoftware: 1, Satisfied: true, ValidUntil: judgedAt.Add(model.DataValidFor),
		Data: []model.DataSource{
			{Ecosystem: "Debian:12", Source: "https://example.org", AsOf: judgedAt, Complete: true},
			{Ecosystem: "npm", Source: "https://example.org", AsOf: judgedAt.Add(-time.Hour), Complete: true},
		},
	}
}

func TestEffectiveStatus(t *testing.T) {
	expired := judgedAt.Add(model.DataValidFor)
	hub := model.Coverage{Components: 3, Assessed: 3, ManagedByHub: true, Satisfied: true}
	short := green()
	short.Satisfied, short.Reason = false, "1 of 3 not assessed"
	for _, row := range []struct {
		name     string
		status   model.OverallStatus
		coverage model.Coverage
		at       time.Time
		want     model.OverallStatus
	}{
		{"green", model.NotInViolation, green(), judgedAt, model.NotInViolation},
		{"green until the last moment", model.NotInViolation, green(), expired.Add(-1), model.NotInViolation},
		{"expired", model.NotInViolation, green(), expired, model.OverallUnknown},
		{"an accepted violation expires too", model.InViolationOverridden, green(), expired, model.OverallUnknown},
		{"a violation does not", model.InViolation, green(), expired, model.InViolation},
		{"not enough coverage", model.NotInViolation, short, judgedAt, model.OverallUnknown},
		{"no coverage at all", model.NotInViolation, model.Coverage{}, judgedAt, model.OverallUnknown},
		{"a hub that vouches for its data", model.NotInViolation, hub, expired.AddDate(1, 0, 0), model.NotInViolation},
	} {
		t.Run(row.name, func(t *testing.T) {
			verdict := model.Verdict{OverallStatus: row.status, Coverage: row.coverage}
			require.Equal(t, row.want, verdict.EffectiveStatus(row.at))
			summary := model.Summary{OverallStatus: row.status, Coverage: row.coverage.Summary()}
			require.Equal(t, row.want, summary.EffectiveStatus(row.at))
			reason := summary.Coverage.ReasonAt(row.at)
			require.Equal(t, row.want == model.OverallUnknown, reason != "" && row.status != model.InViolation, reason)
			pod := model.PodVerdict{OverallStatus: row.status, Containers: []model.ContainerVerdict{{Image: summary}, {Image: summary}}}
			require.Equal(t, row.want, pod.EffectiveStatus(row.at))
		})
	}
	require.Equal(t, model.OverallUnknown, model.PodVerdict{OverallStatus: model.OverallUnknown}.EffectiveStatus(judgedAt))
}

func TestPodIsValidUntilItsFirstContainerIsNot(t *testing.T) {
	image := func(status model.OverallStatus, until time.Time) model.ContainerVerdict {
		return model.ContainerVerdict{Image: model.Summary{OverallStatus: status, Coverage: model.CoverageSummary{ValidUntil: until}}}
	}
	early, late := judgedAt.Add(time.Hour), judgedAt.Add(2*time.Hour)
	pod := model.PodVerdict{Containers: []model.ContainerVerdict{image(model.NotInViolation, late), image(model.NotInViolation, early), image(model.InViolation, judgedAt)}}
	require.Equal(t, early, pod.ValidUntil())
	require.Zero(t, model.PodVerdict{Containers: []model.ContainerVerdict{image(model.NotInViolation, time.Time{})}}.ValidUntil())
}

func TestCoverageCounts(t *testing.T) {
	c := green()
	c.Leave(model.ForeignVendor, 2)
	c.Leave(model.NoData, 1)
	c.Leave(model.NoData, 3)
	c.Leave(model.FileUnreadable, 0)
	require.Equal(t, []model.NotAssessed{{Reason: model.NoData, Count: 4}, {Reason: model.ForeignVendor, Count: 2}}, c.NotAssessed, "in one order, each once")
	require.Equal(t, 6, c.Unassessed())
	require.Equal(t, judgedAt.Add(-time.Hour), c.AsOf())
	require.False(t, c.Sample())
	c.Data[0].Sample = true
	require.True(t, c.Sample())
	require.Equal(t, "2 of 2 assessed, demo data", c.Summary().Text())
	require.Equal(t, "7 components, data age managed by hub", model.CoverageSummary{Components: 7, ManagedByHub: true}.Text())
	raw, err := json.Marshal(c)
	require.NoError(t, err)
	var back model.Coverage
	require.NoError(t, json.Unmarshal(raw, &back))
	require.Equal(t, c, back)
	require.Empty(t, model.Coverage{}.AsOf())
}

func TestAnExceptionEnds(t *testing.T) {
	c := green()
	c.ExceptionsEnd = judgedAt.Add(time.Hour)
	v := model.Verdict{OverallStatus: model.InViolationOverridden, Coverage: c}
	require.Equal(t, model.InViolationOverridden, v.EffectiveStatus(judgedAt))
	ended := v.At(c.ExceptionsEnd)
	require.Equal(t, model.OverallUnknown, ended.OverallStatus, "also where the end of the verdict does not say so")
	require.Equal(t, "an exception ended on "+c.ExceptionsEnd.UTC().Format(time.RFC3339), ended.Coverage.Reason)
	require.False(t, ended.Coverage.Satisfied)
	without := green().Summary()
	require.Equal(t, c.ExceptionsEnd, without.Merge(c.Summary()).ExceptionsEnd)
	require.Equal(t, c.ExceptionsEnd, c.Summary().Merge(without).ExceptionsEnd)
	pod := model.PodVerdict{Containers: []model.ContainerVerdict{{Image: model.Summary{OverallStatus: model.InViolationOverridden, Coverage: c.Summary()}}}}
	require.Equal(t, c.ExceptionsEnd, pod.ValidUntil())
}

func TestCoverageOfTwoHubs(t *testing.T) {
	a, b := green().Summary(), green().Summary()
	b.Components, b.ValidUntil = 9, b.ValidUntil.Add(-time.Hour)
	merged := a.Merge(b)
	require.Equal(t, 9, merged.Components, "the newer one's counts")
	require.Equal(t, b.ValidUntil, merged.ValidUntil, "the earlier end")
	require.True(t, merged.Satisfied)
	a.Satisfied, a.Reason = false, "nothing recognised in the image"
	require.Equal(t, "nothing recognised in the image", a.Merge(b).ReasonAt(judgedAt))
	managed := model.CoverageSummary{Components: 1, ManagedByHub: true, Satisfied: true}
	require.Equal(t, b.ValidUntil, b.Merge(managed).ValidUntil, "a hub without an end does not take the other's away")
}
