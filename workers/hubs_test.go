package workers

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/config"
)

func TestDriversFollowTheConfiguration(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("secret"), 0o600))
	hub := func(name string, limit int) config.Hub {
		return config.Hub{Name: name, URL: "https://hub.example", Limit: limit, TokenFile: token}
	}
	d, err := newDrivers(config.Config{Hubs: []config.Hub{hub("a", 1), hub("b", 1)}})
	require.NoError(t, err)
	driver := func(name string) activities.Hub {
		found, ok := d.Hub(name)
		require.True(t, ok, name)
		return found
	}
	a, b := driver("a"), driver("b")

	require.NoError(t, d.configure([]config.Hub{hub("b", 2), hub("c", 1)}))
	require.Same(t, a, driver("a"), "its scans are still to be finished")
	require.NotSame(t, b, driver("b"))
	b, c := driver("b"), driver("c")

	broken := hub("c", 3)
	broken.CAFile = filepath.Join(t.TempDir(), "missing.pem")
	require.Error(t, d.configure([]config.Hub{hub("b", 7), broken}))
	require.Same(t, b, driver("b"), "all or nothing")
	require.Same(t, c, driver("c"))
	_, ok := d.Hub("unheard-of")
	require.False(t, ok)
}
