//go:build e2e

package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/perceptor/perceptor/internal/hub/blackduck"
	"github.com/perceptor/perceptor/internal/rig"
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
	d.LoadComplete(t)
	d.StartWorker(t, 0)
	reference, _ := d.pushImage(t, "refresh/rotten", assemble(t, here, layerOf(t, tarOf(t,
		file("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n"),
		file("var/lib/dpkg/status", "Package: "+rotten+"\nStatus: install ok installed\nArchitecture: amd64\nMaintainer: Rotten Group <rotten@packages.debian.org>\nVersion: 1.0\n\n"),
	))))
	other, _ := d.pushImage(t, "refresh/sound", plain(t, "sound"))
	result, code := d.scan(t, reference)
	require.Equal(t, exitOK, code)
	require.Equal(t, model.NotInViolation, result.OverallStatus)
	_, code = d.scan(t, other)
	require.Equal(t, exitOK, code)
	require.Equal(t, 2, d.Stats(t).UploadsAccepted)
	first, _ := d.refresh(t)
	require.Zero(t, first.Read, "what Perceptor has just scanned is not read twice: %+v", first)

	before := d.verdict(t, result.Digest)
	d.load(t, []record{{id: invented + "1", ecosystem: "Debian:12", source: rotten, introduced: "0", fixed: "2.0"}})
	rig.Eventually(t, time.Minute, "the hub to judge by the new records", func() bool { return d.judged(t) })
	second, _ := d.refresh(t)
	require.Equal(t, 1, second.Read, "the other image did not change: %+v", second)
	require.Equal(t, 1, second.Notified)
	rig.Eventually(t, 30*time.Second, "the list to show the new verdict", func() bool {
		return d.listed(t, reference).OverallStatus == model.InViolation
	})
	after := d.verdict(t, result.Digest)
	require.Equal(t, before.ScanStarted, after.ScanStarted)
	require.Equal(t, 1, after.Findings)
	require.Equal(t, 2, d.Stats(t).UploadsAccepted, "without any scan")
	idle, _ := d.refresh(t)
	require.Zero(t, idle.Read)

	d.deleteAtHub(t, after.VersionURL)
	third, _ := d.refresh(t)
	require.Equal(t, 1, third.Gone, "%+v", third)
	// A verdict that the hub has lost cannot be checked, so it does not count until there is a new one.
	rig.Eventually(t, 3*time.Minute, "a verdict of the new scan", func() bool {
		view, err := d.Starter.Images.View(t.Context(), result.Digest)
		require.NoError(t, err)
		return len(view.Verdicts) == 1 && view.Verdicts[0].VersionURL != after.VersionURL && view.Verdicts[0].OverallStatus == model.InViolation
	})
	require.Equal(t, 3, d.Stats(t).UploadsAccepted)
	idle, _ = d.refresh(t)
	require.Zero(t, idle.Gone)
}

func (d *dev) verdict(t *testing.T, digest model.Digest) model.Verdict {
	t.Helper()
	view, err := d.Starter.Images.View(t.Context(), digest)
	require.NoError(t, err)
	require.Len(t, view.Verdicts, 1)
	return view.Verdicts[0]
}

// listed is an image's row in the list.
func (d *dev) listed(t *testing.T, reference string) starter.ImageRow {
	t.Helper()
	repository := reference[:len(reference)-len(":1")]
	done := d.perceptor(t, "images", "-o", "json", "--repository", repository)
	require.Zero(t, done.Code, done.Stderr)
	var rows []starter.ImageRow
	require.NoError(t, json.Unmarshal([]byte(done.Stdout), &rows))
	require.Len(t, rows, 1)
	return rows[0]
}

// TestSchedulesFollowTheConfiguration adds a hub, changes its rhythm and removes it; a pause by hand survives.
func TestSchedulesFollowTheConfiguration(t *testing.T) {
	d := startDev(t)
	plan := []starter.RefreshPlan{{Hub: "main", Every: time.Hour}}
	require.NoError(t, d.Starter.Refreshes.Configure(t.Context(), plan))
	handle := d.Client.ScheduleClient().GetHandle(t.Context(), workflows.RefreshID("main"))
	described, err := handle.Describe(t.Context())
	require.NoError(t, err)
	require.Equal(t, time.Hour, described.Schedule.Spec.Intervals[0].Every)
	done := d.perceptor(t, "hub", "refresh", "main")
	require.Equal(t, "Perceptor asks hub main for changed verdicts now.\n", done.Stdout, done.Stderr)
	done = d.perceptor(t, "hub", "refresh", "other")
	require.Equal(t, exitTrouble, done.Code)
	require.Contains(t, done.Stderr, `hub "other" has no schedule for refreshing`)

	require.NoError(t, handle.Pause(t.Context(), client.SchedulePauseOptions{Note: "by hand"}))
	plan[0].Every = 2 * time.Hour
	for range 2 {
		require.NoError(t, d.Starter.Refreshes.Configure(t.Context(), plan))
	}
	described, err = handle.Describe(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2*time.Hour, described.Schedule.Spec.Intervals[0].Every)
	require.True(t, described.Schedule.State.Paused)
	require.Equal(t, "by hand", described.Schedule.State.Note)

	rig.Eventually(t, 30*time.Second, "the schedule of a removed hub to go", func() bool {
		require.NoError(t, d.Starter.Refreshes.RemoveOthers(t.Context(), nil))
		_, err := handle.Describe(context.Background())
		missing := (*serviceerror.NotFound)(nil)
		return errors.As(err, &missing)
	})
}

// refresh has the hub asked now and answers with what that pass did, and its workflow id.
func (d *dev) refresh(t *testing.T) (workflows.RefreshState, string) {
	t.Helper()
	handle := d.Client.ScheduleClient().GetHandle(t.Context(), workflows.RefreshID("builtin"))
	described, err := handle.Describe(t.Context())
	require.NoError(t, err)
	known := described.Info.NumActions
	require.NoError(t, d.Starter.Refreshes.Start(t.Context(), "builtin"))
	var state workflows.RefreshState
	var id string
	rig.Eventually(t, 30*time.Second, "a pass to end", func() bool {
		described, err = handle.Describe(context.Background())
		if err != nil || described.Info.NumActions <= known || len(described.Info.RunningWorkflows) > 0 {
			return false
		}
		recent := described.Info.RecentActions
		started := recent[len(recent)-1].StartWorkflowResult
		id = started.WorkflowID
		return d.Client.GetWorkflow(context.Background(), id, started.FirstExecutionRunID).Get(context.Background(), &state) == nil
	})
	require.Nil(t, state.Trouble)
	return state, id
}

// deleteAtHub removes a project version, as a person would at the hub.
func (d *dev) deleteAtHub(t *testing.T, address string) {
	t.Helper()
	token, authority := d.HubFiles()
	hub, err := blackduck.New(blackduck.Options{Name: "builtin", URL: "https://" + d.Hub, TokenFile: token, CAFile: authority})
	require.NoError(t, err)
	defer hub.Close()
	require.NoError(t, hub.DeleteVersion(t.Context(), address))
}
