package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestChangesAreAudited: every verb that changes something says who did what, and how it ended. Verbs that only read say nothing.
func TestChangesAreAudited(t *testing.T) {
	for _, c := range []struct {
		args    []string
		outcome string
	}{
		{[]string{"hub", "pause", "main"}, "done"},
		{[]string{"hub", "limit", "main", "3"}, "done"},
		{[]string{"hub", "resume", "main"}, "failed"},
		{[]string{"rescan", string(bad)}, "done"},
		{[]string{"prioritize", string(bad)}, "done"},
		{[]string{"cluster", "forget", "east"}, "done"},
		{[]string{"cluster", "forget", "nowhere"}, "failed"},
		{[]string{"cluster", "reset-version", "east"}, "done"},
		{[]string{"hub", "status"}, ""},
		{[]string{"pods"}, ""},
		{[]string{"cluster", "list"}, ""},
		{[]string{"explain", string(bad)}, ""},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			f := newFake(t)
			f.updates = map[string]string{"pause": `{"name":"main"}`, "limit": `{"name":"main"}`}
			said := f.command(t, c.args...)
			if c.outcome == "" {
				require.Empty(t, f.audited)
				return
			}
			require.Len(t, f.audited, 1, said.problems)
			change := f.audited[0]
			require.Equal(t, "perceptor "+strings.Join(c.args, " "), change.What)
			require.Equal(t, c.outcome, change.Outcome)
			require.Equal(t, c.outcome == "failed", change.Error != "")
			require.Contains(t, change.Who, "@")
			require.WithinDuration(t, time.Now(), change.At, time.Minute)
		})
	}
	f := newFake(t)
	f.updates, f.noAudit = map[string]string{"pause": `{"name":"main"}`}, true
	said := f.command(t, "hub", "pause", "main")
	require.Equal(t, exitOK, said.code, "the change is made")
}
