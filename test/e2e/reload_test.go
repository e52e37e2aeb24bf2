//go:build e2e

package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
)

// TestHubsAreReloaded changes the list of hubs of a worker that runs: a hub is added, a wrong list is not taken, a hub is removed.
// All of them are one hub under several names.
func TestHubsAreReloaded(t *testing.T) {
	d := startDev(t)
	file := filepath.Join(t.TempDir(), "perceptor.yaml")
	hub := func(name string, limit int) string {
		return fmt.Sprintf("- {name: %s, url: 'https://%s', limit: %d, token-file: %s, ca-file: %s}\n",
			name, d.Hub, limit, filepath.Join(d.Directory, "hub-token"), filepath.Join(d.Directory, "hub-ca.pem"))
	}
	configure := func(hubs ...string) {
		next := file + ".next"
		require.NoError(t, os.WriteFile(next, []byte("hubs:\n"+strings.Join(hubs, "")), 0o600))
		require.NoError(t, os.Rename(next, file))
	}
	known := func(names ...string) func() bool {
		return func() bool {
			status, err := d.Starter.Pool.Status(t.Context())
			var have []string
			for _, h := range status.Hubs {
				have = append(have, h.Name)
			}
			slices.Sort(have)
			return err == nil && slices.Equal(have, names)
		}
	}
	judgedBy := func(repository string) string {
		reference, digest := d.PushRandom(t, repository, 1<<10)
		d.Observe(t, reference, digest)
		view := d.AwaitVerdict(t, digest, time.Minute)
		require.Equal(t, model.StatusComplete, view.Status)
		return view.Verdicts[0].Hub
	}

	configure(hub("first", 2))
	w := rig.Start(t, "perceptor", []string{"TEMPORAL_ADDRESS=" + d.Temporal}, "worker", "--config", file, "--directory", d.ScannerDirectory(0), "--drain", "1s")
	rig.Eventually(t, time.Minute, "the pool", known("first"))
	require.Equal(t, "first", judgedBy("reload/one"))

	configure(hub("first", 2), hub("second", 0))
	rig.Eventually(t, time.Minute, "a word about the wrong list", func() bool {
		return strings.Contains(w.Transcript.String(), `hubs[1] \"second\": limit is 0`)
	})
	require.Equal(t, "first", judgedBy("reload/two"))

	configure(hub("first", 2), hub("second", 3))
	rig.Eventually(t, time.Minute, "the second hub", known("first", "second"))
	configure(hub("second", 3))
	rig.Eventually(t, time.Minute, "the first hub to go", known("second"))
	require.Equal(t, "second", judgedBy("reload/three"))
}
