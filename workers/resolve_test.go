package workers

import (
	"context"
	"fmt"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/netguard"
	"github.com/perceptor/perceptor/internal/registry"
	"github.com/perceptor/perceptor/model"
)

// judged are the images that have a verdict.
type judged map[model.Digest]bool

func (j judged) HasVerdict(_ context.Context, d model.Digest) (bool, error) { return j[d], nil }

// silentRegistry accepts connections and never answers.
func silentRegistry(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	return listener.Addr().String()
}

// TestSilentRegistryHoldsUpNoOtherImage asks for a known image, for one at a registry that answers, and for n at one that does
// not, in one batch.
func TestSilentRegistryHoldsUpNoOtherImage(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	good := httptest.NewServer(ggcr.New())
	defer good.Close()
	image, err := random.Image(100, 1)
	require.NoError(t, err)
	reference := strings.TrimPrefix(good.URL, "http://") + "/app:1"
	tag, err := name.NewTag(reference)
	require.NoError(t, err)
	require.NoError(t, remote.Write(tag, image))
	known := model.Digest("sha256:" + strings.Repeat("a", 64))
	for _, n := range []int{1, 20, 49} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			client, err := registry.New(registry.Options{CacheDir: t.TempDir(), Reach: netguard.Rules{Loopback: true}})
			require.NoError(t, err)
			steps := activities.NewRegistrySteps(puller{Client: client}, judged{known: true})
			silent := silentRegistry(t)
			in := activities.ResolveImagesInput{When: activities.WhenSoon}
			for i := range n {
				in.Requests = append(in.Requests, activities.ResolveRequest{
					Reference: silent + "/app:1", Reported: model.Digest(fmt.Sprintf("sha256:%064x", i)), Platform: model.Platform{OS: "linux", Architecture: "amd64"},
				})
			}
			in.Requests = append(in.Requests,
				activities.ResolveRequest{Reference: silent + "/known:1", Reported: known}, activities.ResolveRequest{Reference: reference})
			result, took := resolve(t, steps, in)
			require.Less(t, took, 2*time.Second)
			for i := range n {
				require.Equal(t, activities.Resolution{Pending: true}, result.Resolutions[i], "what has no answer is not shown as one")
			}
			require.Equal(t, known, result.Resolutions[n].Image.Digest)
			require.NotNil(t, result.Resolutions[n+1].Image, "a registry that answers is not held up")
		})
	}
}

// TestSilentRegistryIsGivenUp waits for the end of a question that has no answer.
func TestSilentRegistryIsGivenUp(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	client, err := registry.New(registry.Options{CacheDir: t.TempDir(), Reach: netguard.Rules{Loopback: true}})
	require.NoError(t, err)
	steps := activities.NewRegistrySteps(puller{Client: client}, judged{})
	in := activities.ResolveImagesInput{When: activities.WhenSoon, Requests: []activities.ResolveRequest{{Reference: silentRegistry(t) + "/app:1"}}}
	result, _ := resolve(t, steps, in)
	require.True(t, result.Resolutions[0].Pending)
	in.When = activities.WhenSome
	result, took := resolve(t, steps, in)
	require.Less(t, took, 40*time.Second)
	require.NotNil(t, result.Resolutions[0].Failure)
	require.Equal(t, model.Transient, result.Resolutions[0].Failure.Class)
	require.Contains(t, result.Resolutions[0].Failure.Reason, "did not answer in time")
}

func resolve(t *testing.T, steps *activities.RegistrySteps, in activities.ResolveImagesInput) (activities.ResolveImagesResult, time.Duration) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.SetTestTimeout(time.Minute)
	env.RegisterActivity(steps)
	began := time.Now()
	value, err := env.ExecuteActivity(steps.ResolveImages, in)
	took := time.Since(began)
	require.NoError(t, err)
	var result activities.ResolveImagesResult
	require.NoError(t, value.Get(&result))
	return result, took
}
