package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// TestNextTryIsShownOnlyWhenThereIsOne: the zero time, which is in the year 1, is never shown.
func TestNextTryIsShownOnlyWhenThereIsOne(t *testing.T) {
	next := time.Date(2026, 3, 1, 12, 10, 0, 0, time.Local)
	for _, c := range []struct {
		name     string
		next     time.Time
		scanning bool
		explain  bool
		pods     bool
	}{
		{"a next try", next, false, true, true},
		{"no next try", time.Time{}, false, false, false},
		{"a scan under way", next, true, false, true},
		{"a scan under way and no next try", time.Time{}, true, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			failure := &model.Failure{Class: model.Transient, Reason: "no answer", Step: "pull", Attempt: 2, NextTry: c.next}
			var out bytes.Buffer
			e := explanation{Image: workflows.ImageView{Failure: failure, Scanning: c.scanning}}
			require.NoError(t, e.write(&out))
			pods := failureText(failure)
			for shown, want := range map[string]bool{out.String(): c.explain, pods: c.pods} {
				require.NotContains(t, shown, "0001")
				if want {
					require.Contains(t, shown, "2026-03-01 12:10:00")
				} else {
					require.NotContains(t, shown, "next try")
				}
			}
		})
	}
}
