package record_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/record"
	"github.com/perceptor/perceptor/model"
)

func TestReportsOfOtherScans(t *testing.T) {
	i := observed()
	i.StartScan(at(time.Hour))
	i.ScanStarted("second")
	require.False(t, i.ScanEnded(at(time.Hour), record.Report{Chain: "first", Started: start, Failure: failure()}), "not the scan under way")
	require.NotNil(t, i.Scan)
	require.Equal(t, start, i.LastStarted)
	require.True(t, i.ScanEnded(at(time.Hour), record.Report{Chain: "second", Started: at(time.Hour), Verdict: verdict("a", 0, model.InViolation)}))
	require.Nil(t, i.Scan)
	i.ScanEnded(at(2*time.Hour), record.Report{Chain: "first", Started: start, Failure: failure()})
	require.Nil(t, i.CurrentFailure(), "the report of an older scan is stale")
	require.Equal(t, at(time.Hour), i.LastStarted)
}

func TestReportOfAScanWhoseChainIsNotKnown(t *testing.T) {
	i := observed()
	i.StartScan(start)
	i.ScanWasRunning()
	require.True(t, i.ScanEnded(start, record.Report{Chain: "any", Started: start, Failure: failure()}))
	require.Nil(t, i.Scan)
}

func TestRescanStaysWantedUntilItsOwnScanHasEnded(t *testing.T) {
	clean, request := verdict("a", 0, model.NotInViolation), model.Rescan{Reason: "asked", Priority: model.PriorityInteractive}
	judged := func() *record.Image {
		i := observed()
		end(i, 0, record.Report{Verdict: clean})
		return i
	}
	i := judged()
	i.RequestRescan(request)
	require.True(t, i.IsRescan())
	end(i, time.Hour, record.Report{Verdict: clean})
	require.Nil(t, i.Rescan, "done")

	i = judged()
	i.RequestRescan(request)
	end(i, time.Hour, record.Report{})
	require.Equal(t, &request, i.Rescan, "its scan was cancelled")

	i = judged()
	i.RequestRescan(request)
	end(i, time.Hour, record.Report{Failure: failure()})
	require.Equal(t, &model.Rescan{Reason: "the rescan failed", Priority: model.PriorityPod}, i.Rescan, "it failed, so it is tried again")
	require.Equal(t, model.StatusComplete, i.Status(), "the old verdict stays")

	i = observed()
	i.StartScan(start)
	i.RequestRescan(request)
	require.False(t, i.IsRescan(), "without a verdict there is nothing to scan again")
	i.ScanEnded(start, record.Report{Started: start, Verdict: clean})
	require.Equal(t, &request, i.Rescan, "asked for while another scan ran")
}

func TestPriorityOfTheNextScan(t *testing.T) {
	i := observed()
	require.Equal(t, model.PriorityPod, i.CurrentPriority())
	i.Prioritize(model.PriorityImage, "c/m")
	require.Equal(t, model.PriorityPod, i.Priority, "a lower one changes nothing")
	require.Equal(t, "c/n", i.Namespace)
	i.RequestRescan(model.Rescan{Priority: model.PriorityInteractive})
	require.Equal(t, model.PriorityInteractive, i.CurrentPriority(), "that of the request")
	i.Rescan = nil
	i.Prioritize(model.PriorityInteractive, "")
	require.Equal(t, model.PriorityInteractive, i.CurrentPriority())
	require.Equal(t, "c/n", i.Namespace, "an empty namespace leaves it")
}

func TestScanUnderWayLearnsAHigherPriority(t *testing.T) {
	i := observed()
	require.False(t, i.HasMoreUrgentScan(), "no scan")
	i.StartScan(start)
	require.False(t, i.HasMoreUrgentScan())
	i.Prioritize(model.PriorityInteractive, "")
	require.True(t, i.HasMoreUrgentScan())
	i.Scan.Priority = i.CurrentPriority()
	require.False(t, i.HasMoreUrgentScan())
	i.ScanWasRunning()
	require.True(t, i.HasMoreUrgentScan(), "its priority is not known")
}

func TestScanIsUnwantedAfterTenMinutesWithoutAReference(t *testing.T) {
	i := observed()
	i.StartScan(start)
	i.References.Remove(inventory("c/n", 2))
	i.References.Expire(start)
	require.False(t, i.IsScanUnwanted(at(record.UnwantedAfter-1)))
	require.True(t, i.IsScanUnwanted(at(record.UnwantedAfter)))
	i.Scan.Unwanted = true
	require.False(t, i.IsScanUnwanted(at(record.UnwantedAfter)), "asked once")
	i.Scan = nil
	require.False(t, i.IsScanUnwanted(at(record.UnwantedAfter)))
}

// TestScanIsCheckedEverMoreSeldom: a terminated scan is noticed soon, and one that waits for days costs little.
func TestScanIsCheckedEverMoreSeldom(t *testing.T) {
	i := observed()
	require.False(t, i.ShouldCheckScan(at(time.Hour)), "no scan")
	i.DoubtScan()
	i.StartScan(start)
	now, checks := time.Duration(0), []time.Duration(nil)
	for ; now < 4*time.Hour; now += time.Second {
		if i.ShouldCheckScan(at(now)) {
			checks = append(checks, now)
			i.Scan.ScanChecked(at(now))
		}
	}
	require.Equal(t, record.CheckScanFirst, checks[0])
	require.Equal(t, []time.Duration{225 * time.Second, 1125 * time.Second}, checks[1:3])
	require.Equal(t, record.CheckScanMost, checks[len(checks)-1]-checks[len(checks)-2])
	require.Less(t, len(checks), 8)
	require.False(t, i.ShouldCheckScan(at(now)))
	i.RequestRescan(model.Rescan{})
	require.True(t, i.ShouldCheckScan(at(now)), "a scan that is gone would hold up the rescan")
	i.Scan.ScanChecked(at(now))
	require.False(t, i.ShouldCheckScan(at(now)))
}

func TestVerdictsOfHubs(t *testing.T) {
	clean, violated := model.NotInViolation, model.InViolation
	for _, c := range []struct {
		name     string
		verdicts []*model.Verdict
		want     []*model.Verdict
	}{
		{"newer replaces older", []*model.Verdict{verdict("a", 1, clean), verdict("a", 2, violated)}, []*model.Verdict{verdict("a", 2, violated)}},
		{"older changes nothing", []*model.Verdict{verdict("a", 2, violated), verdict("a", 1, clean)}, []*model.Verdict{verdict("a", 2, violated)}},
		{"one for each hub", []*model.Verdict{verdict("a", 2, violated), verdict("b", 1, clean)}, []*model.Verdict{verdict("a", 2, violated), verdict("b", 1, clean)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			i := observed()
			for n, v := range c.verdicts {
				end(i, time.Duration(n)*time.Hour, record.Report{Verdict: v})
			}
			require.Len(t, i.Verdicts, len(c.want))
			for n, v := range c.want {
				require.Equal(t, *v, i.Verdicts[n])
			}
		})
	}
}

func TestJudgeReplacesOnlyAnOlderVerdictOfTheHub(t *testing.T) {
	i := observed()
	i.Judge(*verdict("a", 1, model.InViolation))
	require.Empty(t, i.Verdicts, "nothing was scanned")
	scanned := verdict("a", 1, model.NotInViolation)
	scanned.SkippedHubs = []string{"b"}
	end(i, 0, record.Report{Verdict: scanned})
	i.StartScan(at(time.Hour))
	i.Judge(*verdict("b", 2, model.InViolation))
	i.Judge(*verdict("a", 0, model.InViolation))
	require.Equal(t, model.NotInViolation, i.OverallStatus(), "another hub, and an older judgement")
	newer := *verdict("a", 2, model.InViolation)
	newer.ScanStarted = time.Time{}
	i.Judge(newer)
	require.Equal(t, model.InViolation, i.OverallStatus())
	require.Equal(t, []string{"b"}, i.Verdicts[0].SkippedHubs, "of the scan that was judged")
	require.Equal(t, start, i.Verdicts[0].ScanStarted)
	require.NotNil(t, i.Scan, "it says nothing of the scan under way")
}
