package record_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/record"
	"github.com/perceptor/perceptor/model"
)

func TestStatus(t *testing.T) {
	withVerdicts := func(statuses ...model.OverallStatus) *record.Image {
		i := observed()
		for n, status := range statuses {
			end(i, time.Duration(n)*time.Hour, record.Report{Verdict: verdict(fmt.Sprint(n), 0, status)})
		}
		return i
	}
	scanning, failed := observed(), observed()
	scanning.StartScan(start)
	end(failed, 0, record.Report{Failure: failure()})
	for _, c := range []struct {
		name    string
		image   *record.Image
		status  model.ScanStatus
		overall model.OverallStatus
	}{
		{"nothing yet", observed(), model.StatusUnknown, model.OverallUnknown},
		{"a scan under way", scanning, model.StatusInQueue, model.OverallUnknown},
		{"a failure", failed, model.StatusFailed, model.OverallUnknown},
		{"clean", withVerdicts(model.NotInViolation), model.StatusComplete, model.NotInViolation},
		{"the worst of two hubs", withVerdicts(model.NotInViolation, model.InViolation, model.InViolationOverridden), model.StatusComplete, model.InViolation},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.status, c.image.Status())
			require.Equal(t, c.overall, c.image.OverallStatus())
		})
	}
}

// TestStatusIsNeverCompleteWithoutAVerdict, nor clean, whatever happens in whatever order.
func TestStatusIsNeverCompleteWithoutAVerdict(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		i := observed()
		now, given := start, false
		for range 40 {
			now = now.Add(time.Duration(random.IntN(3600)) * time.Second)
			switch random.IntN(8) {
			case 0:
				i.StartScan(now)
			case 1:
				i.ScanEnded(now, record.Report{Started: now, Failure: failure()})
			case 2:
				i.ScanEnded(now, record.Report{Started: now})
			case 3:
				i.RequestRescan(model.Rescan{Priority: model.PriorityInteractive})
			case 4:
				i.Judge(*verdict("a", now.Sub(start), model.NotInViolation))
			case 5:
				i.References.Remove(inventory("c/n", now.UnixNano()))
			case 6:
				require.NoError(t, i.Observe(observation(now.UnixNano())))
			case 7:
				if random.IntN(5) == 0 {
					given = true
					i.ScanEnded(now, record.Report{Started: now, Verdict: verdict("a", now.Sub(start), model.NotInViolation)})
				}
			}
			i.References.Expire(now)
			require.Equal(t, given, i.Status() == model.StatusComplete, "seed %d", seed)
			require.Equal(t, given, i.OverallStatus() != model.OverallUnknown, "seed %d", seed)
		}
	}
}

func TestSummaryIsPublishedWhenItChanges(t *testing.T) {
	i := observed()
	require.NoError(t, i.Observe(model.Observation{Reference: inventory("c/m", 1)}))
	require.NoError(t, i.Observe(model.Observation{Reference: model.Reference{Kind: model.ReferencePerson, ID: "person", Version: version(1)}}))
	require.False(t, i.ShouldPublish(start, 7), "neither verdict nor failure")
	end(i, 0, record.Report{Failure: failure()})
	require.True(t, i.ShouldPublish(start, 7))
	first := *i.Publication.Summary
	require.Equal(t, model.Version{Epoch: 7, Counter: start.UnixNano()}, first.Version)
	require.Equal(t, at(time.Minute), first.Failure.NextTry)
	ids, references := i.TakeBatch()
	require.Equal(t, []string{"c/n", "c/m"}, ids, "every inventory, and no person")
	require.Equal(t, []model.Reference{inventory("c/n", 1), inventory("c/m", 1)}, references)
	i.BatchSent(start, references, nil, nil)
	require.False(t, i.ShouldPublish(start, 7))
	i.StartScan(at(time.Minute))
	require.False(t, i.ShouldPublish(at(time.Minute), 7), "that a scan has begun is no news")
	i.ScanEnded(start, record.Report{Started: at(time.Minute), Verdict: verdict("a", 0, model.InViolation)})
	require.True(t, i.ShouldPublish(start, 8))
	require.Equal(t, model.Version{Epoch: 7, Counter: start.UnixNano() + 1}, i.Publication.Summary.Version, "it grows even when the clock does not")
	require.Equal(t, model.InViolation, i.Publication.Summary.OverallStatus)
}

func TestSummaryHasTheCountsOfTheNewestVerdict(t *testing.T) {
	i := observed()
	newest, older := verdict("a", 2, model.NotInViolation), verdict("b", 1, model.InViolation)
	newest.Findings, older.Findings = 3, 5
	end(i, 0, record.Report{Verdict: newest})
	end(i, time.Hour, record.Report{Verdict: older})
	i.ShouldPublish(start, 1)
	require.Equal(t, 3, i.Publication.Summary.Findings)
	require.Equal(t, []string{"a", "b"}, i.Publication.Summary.Hubs)
	require.Equal(t, model.InViolation, i.Publication.Summary.OverallStatus, "the worst of all")
}

func TestInventoryIsSentWhatItDoesNotKnow(t *testing.T) {
	i := observed()
	end(i, 0, record.Report{Verdict: verdict("a", 0, model.NotInViolation)})
	i.ShouldPublish(start, 1)
	_, references := i.TakeBatch()
	i.BatchSent(start, references, nil, nil)
	o := observation(2)
	o.Known = i.Publication.Summary.Version
	require.NoError(t, i.Observe(o))
	require.False(t, i.ShouldPublish(start, 1), "it has the summary")
	require.NoError(t, i.Observe(observation(3)))
	require.True(t, i.ShouldPublish(start, 1), "it has none")
	require.Equal(t, []string{"c/n"}, i.Publication.Pending)
	require.NoError(t, i.Observe(observation(4)))
	require.Equal(t, []string{"c/n"}, i.Publication.Pending, "once")
}

func TestBatchIsBoundedAndFailuresAreSentAgain(t *testing.T) {
	i := observed()
	for n := range 600 {
		require.NoError(t, i.Observe(model.Observation{Reference: inventory(fmt.Sprint(n), 1)}))
	}
	end(i, 0, record.Report{Verdict: verdict("a", 0, model.NotInViolation)})
	i.ShouldPublish(start, 1)
	ids, references := i.TakeBatch()
	require.Len(t, ids, 500)
	require.Len(t, i.Publication.Pending, 101)
	require.NoError(t, i.Observe(model.Observation{Reference: inventory("1", 2), Known: i.Publication.Summary.Version}))
	i.BatchSent(start, references, []string{"0", "1"}, []string{"2"})
	require.False(t, slices.ContainsFunc(i.References.List, func(r model.Reference) bool { return r.ID == "0" }), "closed, so it refers to nothing")
	require.Contains(t, i.References.List, inventory("1", 2), "it has come back since")
	require.Contains(t, i.Publication.Pending, "2")
	require.False(t, i.ShouldPublish(at(10*time.Second-1), 1), "a pause")
	require.True(t, i.ShouldPublish(at(10*time.Second), 1))
}

func TestDeadlines(t *testing.T) {
	i := observed()
	soon := inventory("soon", 1)
	soon.Until = at(time.Hour)
	add(t, &i.References, soon)
	require.Contains(t, i.Deadlines(), at(time.Hour), "the end of a reference")
	end(i, 0, record.Report{Failure: failure()})
	require.Contains(t, i.Deadlines(), at(time.Minute), "the next try")
	i.StartScan(at(time.Minute))
	require.NotContains(t, i.Deadlines(), at(time.Minute))
	require.Contains(t, i.Deadlines(), at(time.Minute+record.CheckScanFirst), "the check of a scan")
	i.ShouldPublish(start, 1)
	_, references := i.TakeBatch()
	i.BatchSent(start, references, nil, []string{"c/n"})
	require.Contains(t, i.Deadlines(), at(10*time.Second), "sending again")
	i.References.Remove(inventory("c/n", 2))
	i.References.Expire(at(2 * time.Hour))
	require.Contains(t, i.Deadlines(), at(2*time.Hour+record.UnwantedAfter))
	require.Contains(t, i.Deadlines(), at(2*time.Hour+record.Grace))
}
