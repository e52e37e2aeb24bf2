package workers

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/workspace"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

var key = activities.WorkspaceKey{
	Digest: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", Chain: "chain-1", Pull: 1, Attempt: 1,
}.String()

func TestSweeperReleasesOnlyWhatNoScanNeeds(t *testing.T) {
	for name, each := range map[string]struct {
		view workflows.WorkspaceView
		err  error
		kept bool
	}{
		"is here":                 {view: workflows.WorkspaceView{Chain: "chain-1", Host: "host-1", Workspace: key}, kept: true},
		"pulling again":           {view: workflows.WorkspaceView{Chain: "chain-1", Undecided: true}, kept: true},
		"no answer":               {err: errors.New("no worker"), kept: true},
		"is elsewhere":            {view: workflows.WorkspaceView{Chain: "chain-1", Host: "host-2", Workspace: "other"}},
		"is in another workspace": {view: workflows.WorkspaceView{Chain: "chain-1", Host: "host-1", Workspace: "other"}},
		"needs no workspace":      {view: workflows.WorkspaceView{Chain: "chain-1"}},
		"another scan":            {view: workflows.WorkspaceView{Chain: "chain-2", Undecided: true}},
		"no scan":                 {err: starter.ErrUnknownImage},
	} {
		t.Run(name, func(t *testing.T) {
			pool, err := workspace.Open(t.TempDir(), "host-1", 1)
			require.NoError(t, err)
			_, markIdle, err := pool.Acquire(key)
			require.NoError(t, err)
			s := sweeper{pool: pool, logger: slog.New(slog.DiscardHandler), lookUp: func(context.Context, model.Digest) (workflows.WorkspaceView, error) {
				return each.view, each.err
			}}
			s.sweep(t.Context())
			require.Len(t, pool.List(), 1, "a workspace of a running step is not touched")
			markIdle()
			s.sweep(t.Context())
			require.Equal(t, each.kept, len(pool.List()) == 1)
		})
	}
}

func TestParseRoles(t *testing.T) {
	roles, err := ParseRoles("hub, scan,hub")
	require.NoError(t, err)
	require.Equal(t, []Role{RoleHub, RoleScan}, roles)
	for _, wrong := range []string{"", "hub,", "everything"} {
		_, err := ParseRoles(wrong)
		require.ErrorContains(t, err, "want some of", wrong)
	}
}

func TestHostKeepsItsNameWithItsDirectory(t *testing.T) {
	directory := t.TempDir()
	first, err := Host(directory)
	require.NoError(t, err)
	again, err := Host(directory)
	require.NoError(t, err)
	require.Equal(t, first, again)
	other, err := Host(t.TempDir())
	require.NoError(t, err)
	require.NotEqual(t, first, other)
}

func TestSettingsThatCannotWorkAreRefused(t *testing.T) {
	err := Run(t.Context(), Settings{Roles: AllRoles})
	require.ErrorContains(t, err, "directory is missing")
	require.ErrorContains(t, err, "none configured")
	require.ErrorContains(t, Run(t.Context(), Settings{}), "no role given")
}
