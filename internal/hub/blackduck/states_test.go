package blackduck_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/blackduck"
	"github.com/perceptor/perceptor/model"
)

// TestOldStatuses goes through all the statuses of scan summaries that are known, and one that is not.
func TestOldStatuses(t *testing.T) {
	states := map[model.HubScanState][]string{
		model.HubScanInProgress: {
			"UNSTARTED", "SCANNING", "SAVING_SCAN_DATA", "SCAN_DATA_SAVE_COMPLETE", "REQUESTED_MATCH_JOB", "MATCHING", "BOM_VERSION_CHECK",
			"BUILDING_BOM", "A_WORD_OF_TOMORROW",
		},
		model.HubScanComplete: {"COMPLETE", "CLONED"},
		model.HubScanFailed: {
			"ERROR", "ERROR_SCANNING", "ERROR_SAVING_SCAN_DATA", "ERROR_MATCHING", "ERROR_BUILDING_BOM", "CANCELLED", "FAILURE",
		},
	}
	for want, words := range states {
		for _, word := range words {
			state, detail, err := blackduck.StateOf(fmt.Appendf(nil, `{"status": %q}`, word))
			require.NoError(t, err)
			require.Equal(t, want, state, word)
			require.Equal(t, word, detail)
		}
	}
}

func TestCurrentStates(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       model.HubScanState
		detail     string
	}{
		{"started", `{"scanState": "STARTED"}`, model.HubScanInProgress, "STARTED"},
		{"success", `{"scanState": "SUCCESS", "transitionReason": "COMPLETE"}`, model.HubScanComplete, "SUCCESS"},
		{"cloned", `{"scanState": "SUCCESS", "transitionReason": "CLONED"}`, model.HubScanComplete, "SUCCESS CLONED"},
		{
			"failure", `{"scanState": "FAILURE", "transitionReason": "ERROR_SCANNING", "errorCode": "{e}", "statusMessage": "bad\ttar"}`,
			model.HubScanFailed, "FAILURE ERROR_SCANNING {e} bad tar",
		},
		{"cancelled", `{"scanState": "FAILURE", "transitionReason": "CANCELLED"}`, model.HubScanFailed, "FAILURE CANCELLED"},
		{"unknown word", `{"scanState": "PONDERING"}`, model.HubScanInProgress, "PONDERING"},
		{"both, the newer form counts", `{"scanState": "STARTED", "status": "COMPLETE"}`, model.HubScanInProgress, "STARTED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			state, detail, err := blackduck.StateOf([]byte(c.body))
			require.NoError(t, err)
			require.Equal(t, c.want, state)
			require.Equal(t, c.detail, detail)
		})
	}
	_, _, err := blackduck.StateOf([]byte(`{}`))
	require.Error(t, err, "a summary that says nothing is not a running scan")
}

func TestBomStates(t *testing.T) {
	for _, c := range []struct {
		status, reason string
		want           model.HubScanState
	}{
		{"SUCCESS", "", model.HubScanComplete},
		{"UP_TO_DATE", "", model.HubScanComplete},
		{"BUILDING", "", model.HubScanInProgress},
		{"PROCESSING", "", model.HubScanInProgress},
		{"PROCESSING_WITH_ERRORS", "", model.HubScanInProgress},
		{"A_WORD_OF_TOMORROW", "", model.HubScanInProgress},
		{"FAILURE", "", model.HubScanFailed},
		{"UP_TO_DATE_WITH_ERRORS", "", model.HubScanFailed},
		{"NOT_INCLUDED", "COMPLETE", model.HubScanFailed},
		{"NOT_INCLUDED", "IDENTICAL_RESCAN", model.HubScanComplete},
		{"NOT_INCLUDED", "SKIPPED", model.HubScanComplete},
		{"NOT_INCLUDED", "CLONED", model.HubScanComplete},
	} {
		require.Equal(t, c.want, blackduck.BomStateOf(c.status, c.reason), c.status+" "+c.reason)
	}
}

func TestDialects(t *testing.T) {
	const newest = "current bom-of-scan readiness"
	for _, c := range []struct {
		version    string
		generation blackduck.Generation
		byToken    bool
		want       string
	}{
		{"4.8.3", blackduck.GenerationAuto, false, "old bom-in-scan"},
		{"3.6.2", "", false, "old bom-in-scan"},
		{"2018.12.0", blackduck.GenerationAuto, false, "old bom-in-scan"},
		{"2019.12.1", blackduck.GenerationAuto, false, "old bom-in-scan"},
		{"2019.12.1", blackduck.GenerationAuto, true, "current bom-of-version"},
		{"2019.12.1", blackduck.GenerationCurrent, false, "current bom-of-version"},
		{"2020.2.0", blackduck.GenerationAuto, false, "current bom-of-version"},
		{"2022.2.0", blackduck.GenerationAuto, false, "current bom-of-version readiness"},
		{"2022.9.9", blackduck.GenerationAuto, true, "current bom-of-version readiness"},
		{"2022.10.0", blackduck.GenerationAuto, true, newest},
		{"2026.1.1", blackduck.GenerationAuto, false, newest},
		{"2026", blackduck.GenerationAuto, false, newest},
		{"0.0.0", blackduck.GenerationAuto, true, newest},
		{"0.0.0", blackduck.GenerationAuto, false, newest},
		{"4.8.3", blackduck.GenerationAuto, true, newest},
		{"4.8.3", blackduck.GenerationCurrent, false, newest},
		{"tomorrow", blackduck.GenerationAuto, false, newest},
		{"99999.1.1", blackduck.GenerationAuto, false, newest},
		{"2026.1.1", blackduck.GenerationOld, false, "old bom-in-scan"},
	} {
		require.Equal(t, c.want, blackduck.DialectOf(c.version, c.generation, c.byToken), "%s %s %t", c.version, c.generation, c.byToken)
	}
}
