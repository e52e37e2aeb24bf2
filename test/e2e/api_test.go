//go:build e2e

package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
)

// apiProcess is a perceptor api of its own, against a perceptor-dev, with that one's tokens.
type apiProcess struct {
	*rig.Program
	address string
	tokens  map[string]string
}

var listensAt = regexp.MustCompile(`api is listening" address=(\S+)`)

func (d *dev) api(t *testing.T, args ...string) *apiProcess {
	t.Helper()
	p := &apiProcess{Program: rig.Start(t, "perceptor", nil, append([]string{"api", "--dev", d.Directory, "--address", "127.0.0.1:0"}, args...)...)}
	rig.Eventually(t, time.Minute, "the API to listen", func() bool {
		found := listensAt.FindStringSubmatch(p.Transcript.String())
		if found != nil {
			p.address = found[1]
		}
		return found != nil
	})
	text, err := os.ReadFile(filepath.Join(d.Directory, "api-tokens.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &p.tokens))
	return p
}

// send sends a request in the name of a scope.
func (p *apiProcess) send(t *testing.T, scope, method, path, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.address+path, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+p.tokens[scope])
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer answer.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(text)
}

func (p *apiProcess) get(t *testing.T, scope, path string, into any) {
	t.Helper()
	status, text := p.send(t, scope, http.MethodGet, path, "")
	require.Equal(t, http.StatusOK, status, text)
	require.NoError(t, json.Unmarshal([]byte(text), into), text)
}

// compatPod is a pod as perceivers of the last releases of 2018 send it.
func compatPod(name, reference string, d model.Digest) string {
	slash := strings.LastIndex(reference, "/")
	colon := slash + strings.Index(reference[slash:], ":")
	return fmt.Sprintf(`{"Name":%q,"UID":"uid-%s","Namespace":"shop","Containers":[{"Name":"main","Image":{
		"Repository":%q,"Tag":%q,"Sha":%q,"Priority":1,"BlackDuckProjectName":"","BlackDuckProjectVersion":""}}]}`,
		name, name, reference[:colon], reference[colon+1:], d.Hex())
}

// scanResults is the answer of /scanresults.
type scanResults struct {
	Pods []struct {
		Namespace, Name, OverallStatus    string
		PolicyViolations, Vulnerabilities int
	}
	Images []struct {
		Repository, Tag, Sha, OverallStatus string
	}
}

// TestAPI reports pods through the endpoint of Perceptor 0.x (2018), kills the API with -9 right after its answer, and compares what
// the answers of another one say.
func TestAPI(t *testing.T) {
	d := startDev(t)
	first := d.api(t)
	var bodies []string
	images := map[string]model.Digest{}
	for i := range 3 {
		reference, digest := d.PushRandom(t, fmt.Sprintf("shop/app-%d", i), 64<<10)
		images[fmt.Sprintf("app-%d", i)] = digest
		bodies = append(bodies, compatPod(fmt.Sprintf("app-%d", i), reference, digest))
	}
	// No worker runs yet: what is answered is kept all the same.
	for _, body := range bodies {
		status, text := first.send(t, "perceiver", http.MethodPost, "/pod", body)
		require.Equal(t, http.StatusOK, status, text)
	}
	status, text := first.send(t, "perceiver", http.MethodPost, "/pod", compatPod("gone-1", "registry.example/none:1", images["app-0"]))
	require.Equal(t, http.StatusOK, status, text)
	status, text = first.send(t, "perceiver", http.MethodDelete, "/pod", "shop/gone-1")
	require.Equal(t, http.StatusOK, status, text)
	first.Kill(t)

	d.StartWorker(t, 0)
	second := d.api(t)
	var results scanResults
	rig.Eventually(t, 4*time.Minute, "every pod to be scanned", func() bool {
		second.get(t, "perceiver", "/scanresults", &results)
		return len(results.Pods) == len(bodies)
	})
	require.Len(t, results.Images, len(images))
	for _, each := range results.Images {
		require.Equal(t, images[filepath.Base(each.Repository)].Hex(), each.Sha)
		require.Equal(t, "1", each.Tag)
	}
	var page struct{ Pods []model.PodVerdict }
	second.get(t, "reader", "/api/v1/pods", &page)
	require.Len(t, page.Pods, len(bodies))
	for i, row := range page.Pods {
		require.Equal(t, results.Pods[i].Name, row.Name)
		require.Equal(t, results.Pods[i].OverallStatus, string(row.OverallStatus))
		require.Equal(t, results.Pods[i].PolicyViolations, row.PolicyViolations)
		require.Equal(t, results.Pods[i].Vulnerabilities, row.Vulnerabilities.Critical+row.Vulnerabilities.High)
	}
	shown := d.perceptor(t, "pods", "-o", "json")
	require.Equal(t, exitOK, shown.Code, shown.Stderr)
	var rows []model.PodVerdict
	require.NoError(t, json.Unmarshal([]byte(shown.Stdout), &rows), shown.Stdout)
	require.Equal(t, page.Pods, rows)
	status, text = second.send(t, "operator", http.MethodPost, "/api/v1/images", fmt.Sprintf(`{"reference":%q}`, d.Registry+"/shop/app-0:1"))
	require.Equal(t, http.StatusAccepted, status, text)
	require.Contains(t, text, string(images["app-0"]))
}
