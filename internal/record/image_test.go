package record_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/record"
	"github.com/perceptor/perceptor/model"
)

// digest has the jitter 0, so that delays are exact.
var digest = model.Digest("sha256:" + strings.Repeat("0", 64))

func observation(counter int64) model.Observation {
	return model.Observation{
		Names: []model.Name{{Repository: "registry.example/a", Tag: "1"}}, Reference: inventory("c/n", counter), Priority: model.PriorityPod, Namespace: "c/n",
	}
}

// observed is the record of an image with one reference.
func observed() *record.Image {
	i := &record.Image{Digest: digest}
	if err := i.Observe(observation(1)); err != nil {
		panic(err)
	}
	return i
}

func failure() *model.Failure {
	return &model.Failure{Class: model.Transient, Reason: "no answer", Step: "pull", Attempt: 9, NextTry: start}
}

func verdict(hub string, judged time.Duration, status model.OverallStatus) *model.Verdict {
	return &model.Verdict{Hub: hub, JudgedAt: at(judged), ScanStarted: start, OverallStatus: status}
}

// end starts a scan at a time and ends it with a report.
func end(i *record.Image, began time.Duration, r record.Report) {
	i.StartScan(at(began))
	i.ScanStarted("chain")
	r.Chain, r.Started = "chain", at(began)
	i.ScanEnded(at(began), r)
}

func TestObservationFillsTheRecord(t *testing.T) {
	names := model.HubNames{Scan: "mine"}
	for _, c := range []struct {
		name   string
		change func(*model.Observation)
		check  func(*testing.T, *record.Image)
	}{
		{
			"older changes nothing", func(o *model.Observation) { o.Reference.Version, o.Priority = version(0), model.PriorityInteractive },
			func(t *testing.T, i *record.Image) { require.Equal(t, model.PriorityPod, i.Priority) },
		},
		{
			"higher priority", func(o *model.Observation) { o.Priority, o.Namespace = model.PriorityInteractive, "c/m" },
			func(t *testing.T, i *record.Image) {
				require.Equal(t, model.PriorityInteractive, i.Priority)
				require.Equal(t, "c/m", i.Namespace)
			},
		},
		{
			"lower priority", func(o *model.Observation) { o.Priority, o.Namespace = model.PriorityImage, "c/m" },
			func(t *testing.T, i *record.Image) {
				require.Equal(t, model.PriorityPod, i.Priority)
				require.Equal(t, "c/n", i.Namespace)
			},
		},
		{
			"a second name", func(o *model.Observation) { o.Names = []model.Name{{Repository: "registry.example/b"}} },
			func(t *testing.T, i *record.Image) {
				require.Equal(t, []string{"registry.example/b", "registry.example/a:1"}, []string{i.Names[0].Reference(), i.Names[1].Reference()})
			},
		},
		{"the same name", func(*model.Observation) {}, func(t *testing.T, i *record.Image) { require.Len(t, i.Names, 1) }},
		{"domain, platform and hub names", func(o *model.Observation) {
			o.Domain, o.Platform, o.HubNames = "inner", model.Platform{OS: "linux", Architecture: "arm64"}, &names
		}, func(t *testing.T, i *record.Image) {
			require.Equal(t, "inner", i.Domain)
			require.Equal(t, "arm64", i.Platform.Architecture)
			require.Equal(t, &names, i.HubNames)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			i, o := observed(), observation(2)
			c.change(&o)
			require.NoError(t, i.Observe(o))
			c.check(t, i)
		})
	}
}

func TestFirstDomainAndPlatformStay(t *testing.T) {
	i := &record.Image{Digest: digest}
	for counter, domain := range []string{"first", "second"} {
		o := observation(int64(counter + 1))
		o.Domain, o.Platform.OS = domain, domain
		require.NoError(t, i.Observe(o))
	}
	require.Equal(t, "first", i.Domain)
	require.Equal(t, "first", i.Platform.OS)
}

func TestNamesAreBounded(t *testing.T) {
	i := observed()
	for n := range 30 {
		o := observation(int64(n + 2))
		o.Names = []model.Name{{Repository: fmt.Sprint(n)}}
		require.NoError(t, i.Observe(o))
	}
	require.Len(t, i.Names, 20)
	require.Equal(t, "29", i.Names[0].Repository, "the most recently seen is tried first")
	require.Equal(t, "10", i.Names[19].Repository, "and those not seen for the longest time go")
	o := observation(100)
	o.Names = []model.Name{{Repository: "15"}}
	require.NoError(t, i.Observe(o))
	require.Len(t, i.Names, 20)
	require.Equal(t, []string{"15", "29"}, []string{i.Names[0].Repository, i.Names[1].Repository}, "a name that is seen again comes first")
}

func TestImageIsForgottenADayAfterItsLastReference(t *testing.T) {
	i := observed()
	i.References.Expire(start)
	require.False(t, i.IsForgettable(at(48*time.Hour)), "it has a reference")
	i.References.Remove(inventory("c/n", 2))
	i.References.Expire(start)
	require.False(t, i.IsForgettable(at(record.Grace-1)))
	require.True(t, i.IsForgettable(at(record.Grace)))
	i.StartScan(start)
	require.False(t, i.IsForgettable(at(record.Grace)), "a scan is under way")
}

func TestScanIsDue(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*record.Image)
		want   bool
	}{
		{"an image with a reference and a name", func(*record.Image) {}, true},
		{"no reference", func(i *record.Image) { i.References.Remove(inventory("c/n", 2)) }, false},
		{"no name", func(i *record.Image) { i.Names = nil }, false},
		{"a scan under way", func(i *record.Image) { i.StartScan(start) }, false},
		{"a verdict", func(i *record.Image) { end(i, 0, record.Report{Verdict: verdict("a", 0, model.NotInViolation)}) }, false},
		{"a verdict and a request", func(i *record.Image) {
			end(i, 0, record.Report{Verdict: verdict("a", 0, model.NotInViolation)})
			i.RequestRescan(model.Rescan{Priority: model.PriorityBackground})
		}, true},
		{"the delay after a failure", func(i *record.Image) { end(i, 0, record.Report{Failure: failure()}) }, false},
		{"a failure and a request", func(i *record.Image) {
			end(i, 0, record.Report{Failure: failure()})
			i.RequestRescan(model.Rescan{Priority: model.PriorityBackground})
		}, true},
		{"a failure and a higher priority", func(i *record.Image) {
			end(i, 0, record.Report{Failure: failure()})
			i.Prioritize(model.PriorityInteractive, "")
		}, true},
		{"the delay after a cancelled scan", func(i *record.Image) { end(i, 0, record.Report{}) }, false},
		{"the delay after a lost scan", func(i *record.Image) { i.StartScan(start); i.ScanLost(start, true) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			i := observed()
			c.change(i)
			require.Equal(t, c.want, i.IsScanDue(start))
		})
	}
}

func TestFailuresDelayTheNextTry(t *testing.T) {
	i := observed()
	for n, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
		began := time.Duration(n) * time.Hour
		end(i, began, record.Report{Failure: failure()})
		require.Equal(t, n+1, i.Attempts.Failure.Attempt, "the record counts, whatever the scan says")
		require.Equal(t, at(began+want), i.NextTry())
		require.Equal(t, at(began+want), i.CurrentFailure().NextTry)
		require.Zero(t, i.Attempts.Failure.NextTry)
		require.False(t, i.IsScanDue(at(began+want-1)))
		require.True(t, i.IsScanDue(at(began+want)))
	}
	i.StartScan(at(4 * time.Hour))
	require.Zero(t, i.NextTry(), "no next try while a scan is under way")
	require.Zero(t, i.CurrentFailure().NextTry)
	require.Equal(t, model.StatusFailed, i.Status(), "a scan under way does not hide the failure")
	i.ScanEnded(at(4*time.Hour), record.Report{Started: at(4 * time.Hour), Verdict: verdict("a", 0, model.NotInViolation)})
	require.Nil(t, i.CurrentFailure())
	require.Equal(t, record.Attempts{}, i.Attempts, "a verdict ends the row")
}

func TestImagesThatFailedTogetherComeBackApart(t *testing.T) {
	early, late := observed(), observed()
	late.Digest = model.Digest("sha256:ff" + strings.Repeat("0", 62))
	for _, i := range []*record.Image{early, late} {
		end(i, 0, record.Report{Failure: failure()})
	}
	require.Equal(t, at(time.Minute), early.NextTry())
	require.Greater(t, late.NextTry(), at(71*time.Second))
	require.Less(t, late.NextTry(), at(72*time.Second), "a fifth at most")
}

func TestUnsureIsSetWhileAHubMayHaveAnUnreportedScan(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*record.Image)
		want bool
	}{
		{"failed before the upload", func(i *record.Image) { end(i, 0, record.Report{Failure: failure()}) }, false},
		{"failed after the upload", func(i *record.Image) { end(i, 0, record.Report{Failure: failure(), LeftWork: true}) }, true},
		{"cancelled", func(i *record.Image) { end(i, 0, record.Report{}) }, true},
		{"lost", func(i *record.Image) { i.StartScan(start); i.ScanLost(start, true) }, true},
		{"never started", func(i *record.Image) { i.StartScan(start); i.ScanLost(start, false) }, false},
		{"lost, then a verdict", func(i *record.Image) {
			i.StartScan(start)
			i.ScanLost(start, true)
			end(i, time.Hour, record.Report{Verdict: verdict("a", 0, model.NotInViolation)})
		}, false},
		{"left something, then failed before the upload", func(i *record.Image) {
			end(i, 0, record.Report{Failure: failure(), LeftWork: true})
			end(i, time.Hour, record.Report{Failure: failure()})
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			i := observed()
			c.end(i)
			require.Equal(t, c.want, i.Attempts.Unsure)
		})
	}
}

func TestLostScansAreStartedAgainSoonButNotForever(t *testing.T) {
	i := observed()
	for _, want := range []time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second} {
		i.StartScan(start)
		i.ScanStarted("chain")
		require.Equal(t, "chain", i.ScanLost(start, true))
		require.Nil(t, i.Scan)
		require.Equal(t, at(want), i.NextTry())
	}
	require.Nil(t, i.CurrentFailure(), "a lost scan is no failure of the image")
}
