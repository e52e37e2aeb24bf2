//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
)

const (
	registryCluster = "store"
	registrySecret  = "the secret of this test's events"
	// registryTags is how many tags are pushed, each with an image of its own, unless E2E_IMAGES says otherwise.
	registryTags = 50
	// pushedWithin is how long the scan of a pushed image may take while nothing else waits, on a busy machine.
	pushedWithin = 60 * time.Second
	// scannedWithin is how long all scans may take: two minutes on an idle machine of 2 cores, ten on one with a load of 40.
	scannedWithin = 20 * time.Minute
)

// registryStory is a real registry that sends events to a receiver, and Perceptor.
type registryStory struct {
	*dev
	t                 *testing.T
	directory         string
	host, receiver    string
	registry, watcher *rig.Program
	// pushed are the digests of tags, by "namespace/tag".
	pushed map[string]model.Digest
}

// TestRegistryEndToEnd has every tag of a real registry observed and scanned once, while the receiver of its events and the registry
// itself are killed, and while others send what is no event.
func TestRegistryEndToEnd(t *testing.T) {
	rig.Wanted(t, rig.EnvLong)
	s := &registryStory{
		t: t, dev: startDev(t), directory: t.TempDir(), host: rig.FreeAddress(t), receiver: rig.FreeAddress(t), pushed: map[string]model.Digest{},
	}
	s.LoadComplete(t)
	s.StartWorker(t, 0)
	s.startRegistry()
	s.startWatcher()

	tags := max(rig.ImagesWanted(t, registryTags), 10)
	began := time.Now()
	s.push(1, "1")
	s.agree("the first push", pushedWithin)
	t.Logf("pushed, observed and scanned within %s", time.Since(began).Round(100*time.Millisecond))
	s.attack()

	for number := 2; number < tags-1; number++ {
		s.push(number, "1")
		switch number {
		case tags * 3 / 10:
			s.watcher.Kill(t)
		case tags * 7 / 10:
			s.startWatcher()
		default:
			time.Sleep(100 * time.Millisecond)
		}
	}
	s.observed("events that the registry sent again", 2*time.Minute)
	// These events are lost with the registry, which keeps them in its memory.
	s.watcher.Kill(t)
	s.push(tags-1, "1")
	s.push(tags, "1")
	s.registry.Kill(t)
	s.startRegistry()
	s.startWatcher()
	s.observed("what the walk at the start finds", 2*time.Minute)
	rows := s.agree("all tags", scannedWithin)
	counts := s.Stats(t)
	require.Len(t, counts.ScansByName, tags, "one scan for each image")
	require.Equal(t, tags, counts.UploadsStarted)
	observed := len(rows)

	s.push(3, "moved")
	s.delete(4)
	s.agree("one tag moved, one deleted", scannedWithin)
	rig.AnnounceResult(t, fmt.Sprintf("registry e2e: %d tags, %d observed, %d scanned", tags, observed, counts.ScansSucceeded))
}

// startRegistry starts the registry, with the data that it had.
func (s *registryStory) startRegistry() {
	s.t.Helper()
	file := filepath.Join(s.directory, "registry.yml")
	require.NoError(s.t, os.WriteFile(file, fmt.Appendf(nil, `version: 0.1
log: {level: warn}
storage:
  filesystem: {rootdirectory: %s}
  delete: {enabled: true}
http: {addr: %s, secret: any}
notifications:
  endpoints:
    - name: perceptor
      url: http://%s/webhook
      headers: {Authorization: ["Bearer %s"]}
      timeout: 15s
      threshold: 3
      backoff: 500ms
`, filepath.Join(s.directory, "data"), s.host, s.receiver, registrySecret), 0o600))
	s.registry = rig.Start(s.t, "registry-test", []string{"OTEL_TRACES_EXPORTER=none"}, "serve", file)
	rig.Eventually(s.t, 20*time.Second, "the registry to answer", func() bool {
		answer, err := http.Get("http://" + s.host + "/v2/")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}

func (s *registryStory) startWatcher() {
	s.t.Helper()
	secret := filepath.Join(s.directory, "secret")
	require.NoError(s.t, os.WriteFile(secret, []byte(registrySecret+"\n"), 0o600))
	s.watcher = rig.Start(s.t, "perceptor", nil, "perceiver", "registry", "--dev", s.Directory, "--cluster", registryCluster, "--registry", s.host,
		"--kind", "distribution", "--webhook-address", s.receiver, "--webhook-secret-file", secret)
}

// place is the repository and the tag of a number.
func place(number int) (repository, tag string) {
	return fmt.Sprintf("team-%d/app", number%5), fmt.Sprintf("v%d", number)
}

func (s *registryStory) reference(number int) name.Reference {
	repository, tag := place(number)
	reference, err := name.ParseReference(s.host + "/" + repository + ":" + tag)
	require.NoError(s.t, err)
	return reference
}

// push pushes an image of its own to the tag of a number.
func (s *registryStory) push(number int, content string) {
	s.t.Helper()
	made := taggedImage(s.t, fmt.Sprintf("%d %s", number, content))
	require.NoError(s.t, remote.Write(s.reference(number), made))
	repository, tag := place(number)
	s.pushed[strings.ReplaceAll(repository, "/", ":")+"/"+tag] = rig.DigestOf(s.t, made)
}

func (s *registryStory) delete(number int) {
	s.t.Helper()
	require.NoError(s.t, remote.Delete(s.reference(number)))
	repository, tag := place(number)
	delete(s.pushed, strings.ReplaceAll(repository, "/", ":")+"/"+tag)
}

// taggedImage is an image with one npm package and a file of this content.
func taggedImage(t *testing.T, content string) v1.Image {
	t.Helper()
	layer, err := crane.Layer(map[string][]byte{
		"app/node_modules/left-pad/package.json": []byte(`{"name":"left-pad","version":"1.3.0"}`), "app/content": []byte(content),
	})
	require.NoError(t, err)
	made, err := mutate.AppendLayers(empty.Image, layer)
	require.NoError(t, err)
	config, err := made.ConfigFile()
	require.NoError(t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	made, err = mutate.ConfigFile(made, config)
	require.NoError(t, err)
	return made
}

// attack sends what no registry sends. Only what proves the secret is read, and nothing of it is believed.
func (s *registryStory) attack() {
	s.t.Helper()
	event := `{"events":[{"id":"forged","action":"push","target":{"repository":"team-1/app","tag":"v999","digest":"sha256:` + strings.Repeat("0", 64) + `"}}]}`
	for _, each := range []struct {
		secret, body string
		status       int
	}{
		{"a guess of this secret", event, http.StatusUnauthorized},
		{registrySecret, event, http.StatusOK}, // there is no such tag, so there is no such row
		{registrySecret, `{"events":`, http.StatusAccepted},
		{registrySecret, strings.Repeat("x", 10<<20), http.StatusRequestEntityTooLarge},
		{"a guess of this secret", strings.Repeat("x", 10<<20), http.StatusUnauthorized},
	} {
		request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+s.receiver+"/webhook", bytes.NewReader([]byte(each.body)))
		require.NoError(s.t, err)
		request.Header.Set("Authorization", "Bearer "+each.secret)
		request.Header.Set("Expect", "100-continue")
		answer, err := (&http.Client{Transport: &http.Transport{ExpectContinueTimeout: 5 * time.Second}}).Do(request)
		require.NoError(s.t, err)
		require.NoError(s.t, answer.Body.Close())
		require.Equal(s.t, each.status, answer.StatusCode, "%.100s", each.body)
	}
}

// rows are the rows of the join, by "namespace/tag".
func (s *registryStory) rows() map[string]model.PodVerdict {
	rows := map[string]model.PodVerdict{}
	for after := ""; ; {
		page, err := s.Starter.Pods.Join(context.Background(), starter.JoinFilter{Cluster: registryCluster, After: after})
		if err != nil {
			return nil
		}
		for _, row := range page.Rows {
			rows[row.Namespace+"/"+row.Name] = row
		}
		if after = page.Next; after == "" {
			return rows
		}
	}
}

// observed waits until exactly the tags that were pushed have a row.
func (s *registryStory) observed(what string, within time.Duration) {
	s.t.Helper()
	began := time.Now()
	rig.Eventually(s.t, within, "rows for "+what, func() bool {
		rows := s.rows()
		for place := range s.pushed {
			if _, is := rows[place]; !is {
				return false
			}
		}
		return len(rows) == len(s.pushed)
	})
	s.t.Logf("%s: %d tags observed after %s", what, len(s.pushed), time.Since(began).Round(100*time.Millisecond))
}

// agree waits until there is a row for exactly the tags that were pushed, each with the verdict of its image.
func (s *registryStory) agree(what string, within time.Duration) (rows map[string]model.PodVerdict) {
	s.t.Helper()
	for began := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		rows = s.rows()
		wrong := ""
		for place, digest := range s.pushed {
			if row, is := rows[place]; !is || row.Status != model.StatusComplete || row.Containers[0].Image.Digest != digest {
				wrong = fmt.Sprintf("%s: want %s, got %s %+v", place, digest, row.Status, row.Containers)
			}
		}
		if wrong == "" && len(rows) == len(s.pushed) {
			return rows
		}
		require.Less(s.t, time.Since(began), within, "%s: %d rows of %d; %s", what, len(rows), len(s.pushed), wrong)
	}
}
