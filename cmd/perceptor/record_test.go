//go:build record

package main_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/perceptor/perceptor/workflows"
)

// TestRecordHistories records what the workflows of this build do on a real server into the directory that the replay test
// reads. Run it from a released commit, never from the change under test: a history recorded from the change proves nothing.
func TestRecordHistories(t *testing.T) {
	directory, err := filepath.Abs("../../workflows/testdata/replay")
	require.NoError(t, err)
	d := startDev(t, "--hub-scan-time", "1s", "--hub-accept-delay", "2s")
	d.worker(t, 0)
	reference, first := d.push(t, "record/first", 1<<20)
	d.observe(t, reference, first)
	d.complete(t, first, time.Minute)
	require.NoError(t, d.starter.Rescan(t.Context(), first, workflows.Rescan{Reason: "record", Class: workflows.ClassPerson}))
	time.Sleep(time.Second)
	d.complete(t, first, time.Minute)
	d.record(t, directory, "scan_image_rescan.json", workflows.ScanImageID(first))
	d.record(t, directory, "image_scanned_twice.json", workflows.ImageID(first))

	reference, second := d.push(t, "record/terminated", 1<<20)
	d.observe(t, reference, second)
	d.during(t, second, "UploadScan")
	require.NoError(t, d.client.TerminateWorkflow(t.Context(), workflows.ScanImageID(second), "", "record"))
	d.complete(t, second, 3*time.Minute)
	d.record(t, directory, "scan_image_first.json", workflows.ScanImageID(second))
	d.record(t, directory, "image_scan_terminated.json", workflows.ImageID(second))
	d.record(t, directory, "hub_pool_drained.json", workflows.HubPoolID)
}

func (d *dev) record(t *testing.T, directory, file, workflow string) {
	t.Helper()
	events := &historypb.History{}
	pages := d.client.GetWorkflowHistory(t.Context(), workflow, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for pages.HasNext() {
		event, err := pages.Next()
		require.NoError(t, err)
		events.Events = append(events.Events, event)
	}
	text, err := protojson.MarshalOptions{Indent: " "}.Marshal(events)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(directory, file), append(text, '\n'), 0o600))
	t.Logf("%s: %d events", file, len(events.GetEvents()))
}
