//go:build e2e

package e2e_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
)

// dockerCluster is what Perceptor calls the engine of these tests.
const dockerCluster = "engine"

// dockerStory is a real engine, Perceptor, and the images of the test.
type dockerStory struct {
	*dev
	t       *testing.T
	engine  *engine
	watcher string            // the perceiver's container
	api     string            // where the REST API listens
	images  map[string]string // references by the names of this test
	digests map[string]model.Digest
}

// own is how many containers are Perceptor's own: a worker, a scanner, the API and the perceiver, from the image of `make image`.
const own = 4

// TestDockerEndToEnd joins a Compose project, a stack and other containers of a real engine, while services are scaled, the perceiver is
// killed and the engine restarted. Perceptor itself runs in containers of that engine, and is watched and scanned like all others.
func TestDockerEndToEnd(t *testing.T) {
	rig.Wanted(t, rig.EnvLong)
	s := &dockerStory{t: t, engine: startEngine(t), dev: startDev(t), images: map[string]string{}, digests: map[string]model.Digest{}}
	s.LoadComplete(t)
	s.makeImages()
	e := s.engine
	e.startSwarm(t)
	s.startPerceptor()

	plain := e.run(t, "one", s.images["plain"], "always", nil)
	brief := e.run(t, "brief", s.images["plain"], "no", nil)
	paused := e.run(t, "paused", s.images["cache"], "always", nil)
	_, err := e.ContainerPause(t.Context(), paused, client.ContainerPauseOptions{})
	require.NoError(t, err)
	local := e.run(t, "tool", "local/tool:1", "always", nil)
	for number := 1; number <= 3; number++ {
		e.compose(t, "shop", "web", number, s.images["web"])
	}
	e.compose(t, "shop", "db", 1, s.images["db"])
	e.compose(t, "shop", "cache", 1, s.images["cache"])
	s.agree("containers and a Compose project", 9+own, 30*time.Second)

	api := e.service(t, "store", "api", s.images["api"], true)
	e.service(t, "store", "jobs", s.images["jobs"], true)
	s.agree("a stack of two services", 11+own, 30*time.Second)
	e.scale(t, api, 5)
	s.agree("one service scaled to 5", 15+own, 30*time.Second)

	// While the perceiver is away a container goes and another comes.
	_, err = e.ContainerRemove(t.Context(), s.watcher, client.ContainerRemoveOptions{Force: true})
	require.NoError(t, err)
	_, err = e.ContainerRemove(t.Context(), plain, client.ContainerRemoveOptions{Force: true})
	require.NoError(t, err)
	e.run(t, "two", s.images["db"], "always", nil)
	s.startWatcher()
	s.agree("what happened while the perceiver was away", 15+own, time.Minute)

	// While the engine is away nothing is known, so nothing is gone. Then a container that is not restarted is gone.
	before := s.names()
	e.kill()
	time.Sleep(5 * time.Second)
	require.Equal(t, before, s.names(), "an engine that does not answer has lost nothing")
	e.start(t)
	s.agree("the engine after it was killed", 14+own, 2*time.Minute)
	require.NotContains(t, s.rows(), brief)
	// An engine that is stopped ends its containers and says so, and says that it is no manager.
	e.stop()
	e.start(t)
	s.agree("the engine after its restart", 14+own, 2*time.Minute)
	e.scale(t, api, 2)
	s.agree("one service scaled to 2", 11+own, time.Minute)
	e.compose(t, "shop", "web", 4, s.images["web"])
	joined := s.agree("one more container", 12+own, 30*time.Second)

	require.Equal(t, s.digests["tool"], joined[local].Containers[0].Image.Digest, "an image that no registry has is scanned, too")
	answer, err := http.Get("http://" + s.api + "/healthz") //nolint:noctx // one question to a local program
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusOK, answer.StatusCode)
	counts := s.Stats(t)
	require.Len(t, counts.ScansByName, len(s.digests), "one scan for each image")
	require.Equal(t, len(s.digests), counts.UploadsStarted)
	rig.AnnounceResult(t, fmt.Sprintf("docker e2e: %d containers joined, %d images, %d scans, %d stale",
		len(joined), len(s.digests), counts.ScansSucceeded, s.stale()))
}

// stale counts the rows that stand for nothing that runs, a while after everything has agreed.
func (s *dockerStory) stale() int {
	time.Sleep(3 * time.Second)
	runs, err := s.engine.runningPods(s.t.Context())
	require.NoError(s.t, err)
	stale := 0
	for uid, name := range s.names() {
		if runs[uid] != name {
			stale++
		}
	}
	require.Zero(s.t, stale)
	return stale
}

// makeImages pushes one image for each role, and loads one that no registry has.
func (s *dockerStory) makeImages() {
	program := sleeper(s.t)
	packages := map[string][2]string{
		"plain": {"requests", "2.19.1"}, "web": {"jinja2", "2.10"}, "db": {"idna", "3.10"}, "cache": {"urllib3", "1.26.16"},
		"api": {"werkzeug", "2.2.2"}, "jobs": {"charset-normalizer", "3.4.0"},
	}
	for _, role := range slices.Sorted(maps.Keys(packages)) {
		s.images[role] = s.Registry + "/docker/" + role + ":1"
		s.digests[role] = s.engine.pushImage(s.t, s.images[role], sleepingImage(s.t, program, packages[role][0], packages[role][1]))
	}
	s.digests["tool"] = s.engine.loadImage(s.t, "local/tool:1", sleepingImage(s.t, program, "pyyaml", "5.2"))
	made, err := tarball.ImageFromPath(filepath.Join(rig.Root(s.t), "bin", "image", "perceptor-amd64.tar"), nil)
	require.NoError(s.t, err, "make image")
	s.digests["perceptor"] = s.engine.loadImage(s.t, perceptorImage, made)
}

// perceptorImage is what the manifests call the image of Perceptor.
const perceptorImage = "registry.example/perceptor:0.1.0"

// startPerceptor starts everything of Perceptor but its servers.
func (s *dockerStory) startPerceptor() {
	s.api = rig.FreeAddress(s.t)
	s.runOwn("worker", "worker", "--roles", "workflows,hub")
	s.runOwn("scanner", "worker", "--roles", "scan", "--directory", "/var/lib/perceptor", "--docker-host", "unix:///var/run/docker.sock")
	s.runOwn("api", "api", "--address", s.api)
	s.startWatcher()
}

func (s *dockerStory) startWatcher() {
	s.watcher = s.runOwn("perceiver", "perceiver", "docker", "--cluster", dockerCluster, "--docker-host", "unix:///var/run/docker.sock")
}

// runOwn starts a container of Perceptor's image as its manifests do: without root, without capabilities, with a root file system that
// it cannot write to.
func (s *dockerStory) runOwn(name string, args ...string) string {
	socket := filepath.Join(s.engine.directory, "docker.sock")
	about, err := os.Stat(socket)
	require.NoError(s.t, err)
	group := about.Sys().(*syscall.Stat_t).Gid //nolint:forcetypeassert // a file of this system
	made, err := s.engine.ContainerCreate(s.t.Context(), client.ContainerCreateOptions{
		Name: "perceptor-" + name + "-1",
		Config: &container.Config{
			Image: perceptorImage, Cmd: append(args, "--dev", "/dev-data"), Labels: map[string]string{
				"com.docker.compose.project": "perceptor", "com.docker.compose.service": name, "com.docker.compose.container-number": "1",
			},
		},
		HostConfig: &container.HostConfig{
			NetworkMode: "host", RestartPolicy: container.RestartPolicy{Name: "always"}, ReadonlyRootfs: true, CapDrop: []string{"ALL"},
			SecurityOpt: []string{"no-new-privileges"}, GroupAdd: []string{fmt.Sprint(group)},
			Binds: []string{s.handed() + ":/dev-data:ro", socket + ":/var/run/docker.sock"},
			Tmpfs: map[string]string{"/tmp": "mode=1777", "/var/lib/perceptor": "uid=65532,gid=65532,mode=0700"},
		},
	})
	require.NoError(s.t, err)
	_, err = s.engine.ContainerStart(s.t.Context(), made.ID, client.ContainerStartOptions{})
	require.NoError(s.t, err)
	return made.ID
}

// handed is a folder with what clients need of perceptor-dev's data, for the user of the image alone.
func (s *dockerStory) handed() string {
	folder := filepath.Join(s.engine.directory, "handed")
	if _, err := os.Stat(folder); err == nil {
		return folder
	}
	require.NoError(s.t, os.Mkdir(folder, 0o700))
	for _, name := range []string{"addresses.json", "hub-token", "hub-ca.pem", "api-tokens.json"} {
		text, err := os.ReadFile(filepath.Join(s.Directory, name))
		require.NoError(s.t, err)
		require.NoError(s.t, os.WriteFile(filepath.Join(folder, name), text, 0o600))
		require.NoError(s.t, os.Chown(filepath.Join(folder, name), 65532, 65532))
	}
	require.NoError(s.t, os.Chown(folder, 65532, 65532))
	return folder
}

// rows are the rows of the join, by UID.
func (s *dockerStory) rows() map[string]model.PodVerdict {
	rows := map[string]model.PodVerdict{}
	for after := ""; ; {
		page, err := s.Starter.Pods.Join(context.Background(), starter.JoinFilter{Cluster: dockerCluster, After: after})
		if err != nil {
			return nil
		}
		for _, row := range page.Rows {
			rows[row.UID] = row
		}
		if after = page.Next; after == "" {
			return rows
		}
	}
}

func (s *dockerStory) names() map[string]string {
	names := map[string]string{}
	for uid, row := range s.rows() {
		names[uid] = row.Namespace + "/" + row.Name
	}
	return names
}

// scansWithin is how long the scans may take on a busy machine. What runs is listed within seconds whatever they do.
const scansWithin = 8 * time.Minute

// agree waits until the join lists exactly what the engine runs, and then until there is a verdict for each image that a registry has.
func (s *dockerStory) agree(what string, number int, within time.Duration) map[string]model.PodVerdict {
	s.t.Helper()
	began := time.Now()
	var listed time.Duration
	for wrong := ""; ; time.Sleep(200 * time.Millisecond) {
		runs, err := s.engine.runningPods(s.t.Context())
		same := err == nil && len(runs) == number && maps.Equal(runs, s.names())
		if same && listed == 0 {
			listed = time.Since(began)
		}
		rows := s.rows()
		if wrong = s.unjoined(rows); same && wrong == "" {
			s.t.Logf("%s: %d pods listed after %s, joined after %s", what, number, listed.Round(100*time.Millisecond), time.Since(began).Round(100*time.Millisecond))
			return rows
		}
		limit := within
		if listed > 0 {
			limit = scansWithin
		}
		require.Less(s.t, time.Since(began), limit, "%s: want %d\nruns   %v\nlisted %v\n%s %v", what, number,
			slices.Sorted(maps.Values(runs)), slices.Sorted(maps.Values(s.names())), wrong, err)
	}
}

// unjoined says what is wrong with a row: it has no verdict of its image, or one that cannot be.
func (s *dockerStory) unjoined(rows map[string]model.PodVerdict) string {
	known := map[model.Digest]bool{}
	for _, d := range s.digests {
		known[d] = true
	}
	for _, row := range rows {
		image := row.Containers[0].Image
		switch {
		case !known[image.Digest] || row.Status != model.StatusComplete:
			return fmt.Sprintf("%s: %s %s %s %+v", row.Name, row.Containers[0].Reference, row.Status, image.Digest, image.Failure)
		case !strings.Contains(row.Containers[0].Reference, "/docker/") && row.Name != "tool" && row.Namespace != "perceptor":
			return row.Containers[0].Reference
		}
	}
	return ""
}

// executableLayer is a layer with one program.
func executableLayer(t *testing.T, name string, program []byte) v1.Layer {
	t.Helper()
	var packed bytes.Buffer
	archive := tar.NewWriter(&packed)
	require.NoError(t, archive.WriteHeader(&tar.Header{Name: filepath.Base(name), Mode: 0o755, Size: int64(len(program))}))
	_, err := archive.Write(program)
	require.NoError(t, err)
	require.NoError(t, archive.Close())
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil })
	require.NoError(t, err)
	return layer
}
