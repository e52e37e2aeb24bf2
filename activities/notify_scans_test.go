package activities_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/activities"
)

// stubScans are scans of which some have ended, and some are never heard of again.
type stubScans struct {
	lock   sync.Mutex
	sent   map[string]string
	ended  map[string]bool
	silent map[string]bool
}

func (s *stubScans) SignalScan(ctx context.Context, workflowID, name string, value any) (bool, error) {
	if s.silent[workflowID] {
		<-ctx.Done()
		return false, ctx.Err()
	}
	if s.ended[workflowID] {
		return false, nil
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	s.sent[workflowID+" "+name] = string(value.(json.RawMessage))
	return true, nil
}

func tellScans(t *testing.T, s *stubScans, number int) activities.NotifyScansResult {
	t.Helper()
	steps := activities.NewPoolSteps(nil, nil, s)
	var in activities.NotifyScansInput
	for i := range number {
		in.Signals = append(in.Signals, activities.ScanSignal{
			Scan: activities.Holder{WorkflowID: fmt.Sprint("scan-", i), Chain: fmt.Sprint("chain-", i)}, Name: "grant", Value: map[string]int{"n": i},
		})
	}
	value, err := environment(t, steps).ExecuteActivity(steps.NotifyScans, in)
	require.NoError(t, err)
	var result activities.NotifyScansResult
	require.NoError(t, value.Get(&result))
	return result
}

func TestScansAreToldAllAtOnce(t *testing.T) {
	s := &stubScans{sent: map[string]string{}, ended: map[string]bool{"scan-3": true}}
	result := tellScans(t, s, 50)
	require.Len(t, s.sent, 49)
	require.Equal(t, `{"n":7}`, s.sent["scan-7 grant"])
	require.Equal(t, []activities.Holder{{WorkflowID: "scan-3", Chain: "chain-3"}}, result.Gone)
	require.Empty(t, result.Missed)
}

// TestScanThatCannotBeToldHoldsUpNobody: that it gave no answer is no sign that it has ended.
func TestScanThatCannotBeToldHoldsUpNobody(t *testing.T) {
	s := &stubScans{sent: map[string]string{}, silent: map[string]bool{"scan-0": true, "scan-1": true}}
	result := tellScans(t, s, 20)
	require.Len(t, s.sent, 18)
	require.Len(t, result.Missed, 2)
	require.Empty(t, result.Gone)
}
