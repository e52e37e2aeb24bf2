//go:build integration

package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

// rotten is a Debian package that no true record is about.
const rotten = "rotten"

// TestVerdictsFollowTheHub changes what the hub knows and has, and sees the images follow without anybody asking for a
// scan: new records change an old verdict, a version deleted at the hub leads to one new scan.
func TestVerdictsFollowTheHub(t *testing.T) {
	d := startDev(t)
	d.worker(t, 0)
	reference, _ := d.pushImage(t, "refresh/rotten", assemble(t, here, layerOf(t, tarOf(t,
		file("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n"),
		file("var/lib/dpkg/status", "Package: "+rotten+"\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0\n\n"),
	))))
	other, _ := d.pushImage(t, "refresh/sound", plain(t, "sound"))
	result, code := d.scan(t, reference)
	require.Equal(t, exitOK, code)
	require.Equal(t, model.NotInViolation, result.OverallStatus)
	_, code = d.scan(t, other)
	require.Equal(t, exitOK, code)
	require.Equal(t, 2, d.stats(t).UploadsAccepted)
	first, _ := d.refresh(t)
	require.Zero(t, first.Read, "what Perceptor has just scanned is not read twice: %+v", first)

	before := d.verdict(t, result.Digest)
	d.load(t, []record{{id: invented + "1", ecosystem: "Debian:12", source: rotten, introduced: "0", fixed: "2.0"}})
	eventually(t, time.Minute, "the hub to judge by the new records", func() bool { return d.judged(t) })
	second, _ := d.refresh(t)
	require.Equal(t, 1, second.Read, "the other image did not change: %+v", second)
	require.Equal(t, 1, second.Notified)
	eventually(t, 30*time.Second, "the list to show the new verdict", func() bool {
		return d.listed(t, reference).OverallStatus == model.InViolation
	})
	after := d.verdict(t, result.Digest)
	require.Equal(t, before.ScanStarted, after.ScanStarted)
	require.Equal(t, 1, after.Findings)
	require.Equal(t, 2, d.stats(t).UploadsAccepted, "without any scan")
	idle, _ := d.refresh(t)
	require.Zero(t, idle.Read)

	d.deleteAtHub(t, after.VersionURL)
	third, _ := d.refresh(t)
	require.Equal(t, 1, third.Gone, "%+v", third)
	require.Equal(t, model.InViolation, d.verdict(t, result.Digest).OverallStatus, "the old verdict stays until the new one is there")
	// For a minute the hub may just not have joined the old scan with its version yet.
	eventually(t, 3*time.Minute, "a verdict of the new scan", func() bool {
		v := d.verdict(t, result.Digest)
		return v.VersionURL != after.VersionURL && v.OverallStatus == model.InViolation
	})
	require.Equal(t, 3, d.stats(t).UploadsAccepted)
	idle, _ = d.refresh(t)
	require.Zero(t, idle.Gone)
}

func (d *dev) verdict(t *testing.T, digest model.Digest) model.Verdict {
	t.Helper()
	view, err := d.starter.Image(t.Context(), digest)
	require.NoError(t, err)
	require.Len(t, view.Verdicts, 1)
	return view.Verdicts[0]
}

// listed is an image's row in the list.
func (d *dev) listed(t *testing.T, reference string) starter.ImageRow {
	t.Helper()
	repository := reference[:len(reference)-len(":1")]
	done := d.perceptor(t, "images", "-o", "json", "--repository", repository)
	require.Zero(t, done.code, done.stderr)
	var rows []starter.ImageRow
	require.NoError(t, json.Unmarshal([]byte(done.stdout), &rows))
	require.Len(t, rows, 1)
	return rows[0]
}

// TestSchedulesFollowTheConfiguration adds a hub, changes its rhythm and removes it; a pause by hand survives.
func TestSchedulesFollowTheConfiguration(t *testing.T) {
	d := startDev(t)
	plan := []starter.RefreshPlan{{Hub: "main", Every: time.Hour}}
	require.NoError(t, d.starter.ConfigureRefresh(t.Context(), plan))
	handle := d.client.ScheduleClient().GetHandle(t.Context(), workflows.RefreshID("main"))
	described, err := handle.Describe(t.Context())
	require.NoError(t, err)
	require.Equal(t, time.Hour, described.Schedule.Spec.Intervals[0].Every)
	done := d.perceptor(t, "hub", "refresh", "main")
	require.Equal(t, "main is asked what has changed\n", done.stdout, done.stderr)
	done = d.perceptor(t, "hub", "refresh", "other")
	require.Equal(t, exitTrouble, done.code)
	require.Contains(t, done.stderr, `hub "other" has no schedule for refreshing`)

	require.NoError(t, handle.Pause(t.Context(), client.SchedulePauseOptions{Note: "by hand"}))
	plan[0].Every = 2 * time.Hour
	for range 2 {
		require.NoError(t, d.starter.ConfigureRefresh(t.Context(), plan))
	}
	described, err = handle.Describe(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2*time.Hour, described.Schedule.Spec.Intervals[0].Every)
	require.True(t, described.Schedule.State.Paused)
	require.Equal(t, "by hand", described.Schedule.State.Note)

	eventually(t, 30*time.Second, "the schedule of a removed hub to go", func() bool {
		require.NoError(t, d.starter.ConfigureRefresh(t.Context(), nil))
		_, err := handle.Describe(context.Background())
		missing := (*serviceerror.NotFound)(nil)
		return errors.As(err, &missing)
	})
}
