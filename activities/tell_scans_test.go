package activities_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/activities"
)

// stubScans are scans of which some have ended, and some are never heard of again.
type stubScans struct {
	lock   sync.Mutex
	told   map[string]any
	ended  map[string]bool
	silent map[string]bool
}

func (s *stubScans) SignalScan(ctx context.Context, workflowID, name string, value any) error {
	if s.silent[workflowID] {
		<-ctx.Done()
		return ctx.Err()
	}
	if s.ended[workflowID] {
		return errors.New("workflow not found")
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	s.told[workflowID+" "+name] = value
	return nil
}

func tellScans(t *testing.T, s *stubScans, number int) activities.TellScansResult {
	t.Helper()
	steps := activities.NewPoolSteps(nil, nil, s)
	var in activities.TellScansInput
	for i := range number {
		in.Signals = append(in.Signals, activities.ScanSignal{
			Scan: activities.Holder{WorkflowID: fmt.Sprint("scan-", i), Chain: fmt.Sprint("chain-", i)}, Name: "grant", Value: i,
		})
	}
	result, err := steps.TellScans(t.Context(), in)
	require.NoError(t, err)
	return result
}

func TestScansAreToldAllAtOnce(t *testing.T) {
	s := &stubScans{told: map[string]any{}, ended: map[string]bool{"scan-3": true}}
	result := tellScans(t, s, 50)
	require.Len(t, s.told, 49)
	require.Equal(t, 7, s.told["scan-7 grant"])
	require.Len(t, result.Told, 49)
	require.Equal(t, []activities.Holder{{WorkflowID: "scan-3", Chain: "chain-3"}}, result.Unreached)
}

// TestScanThatCannotBeToldHoldsUpNobody: the pool waits for this step, and with the pool everybody.
func TestScanThatCannotBeToldHoldsUpNobody(t *testing.T) {
	s := &stubScans{told: map[string]any{}, silent: map[string]bool{"scan-0": true, "scan-1": true}}
	begun := time.Now()
	result := tellScans(t, s, 20)
	require.Len(t, s.told, 18)
	require.Len(t, result.Unreached, 2)
	require.Less(t, time.Since(begun), 20*time.Second)
}
