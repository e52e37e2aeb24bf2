package pool

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/workflows"
)

// TestWhichListIsUsed: every row has its opposite beside it.
func TestWhichListIsUsed(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	inUse := workflows.HubList{Hash: "a", Generation: 3, From: "owner", Confirmed: now.Add(-time.Minute)}
	abandoned := inUse
	abandoned.Confirmed = now.Add(-workflows.ListAbandoned)
	for _, c := range []struct {
		name  string
		list  workflows.Configure
		inUse workflows.HubList
		want  bool
	}{
		{"the first list", workflows.Configure{From: "other"}, workflows.HubList{}, true},
		{"another process", workflows.Configure{From: "other", Generation: 3}, inUse, false},
		{"the owner has changed its mind", workflows.Configure{From: "owner", Generation: 3}, inUse, true},
		{"a newer generation", workflows.Configure{From: "other", Generation: 4}, inUse, true},
		{"an older generation of the owner", workflows.Configure{From: "owner", Generation: 2}, inUse, false},
		{"changed from the list in use", workflows.Configure{From: "other", Generation: 3, Replaces: "a"}, inUse, true},
		{"changed from another list", workflows.Configure{From: "other", Generation: 3, Replaces: "b"}, inUse, false},
		{"perceptor setup", workflows.Configure{From: "setup", Setup: true}, inUse, true},
		{"no process has the list in use any more", workflows.Configure{From: "other", Generation: 3}, abandoned, true},
		{"an older generation than the abandoned one", workflows.Configure{From: "other", Generation: 2}, abandoned, false},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, replaces(c.list, c.inUse, now)) })
	}
}
