package rig

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

// skipper notes why a test would be skipped.
type skipper struct {
	testing.TB
	why string
}

func (s *skipper) Helper()                       {}
func (s *skipper) Skipf(format string, a ...any) { s.why = fmt.Sprintf(format, a...) }

func TestNeeds(t *testing.T) {
	there, missing := &skipper{TB: t}, &skipper{TB: t}
	Needs(there, "go", "golang")
	require.Empty(t, there.why)
	Needs(missing, "no-such-program", "no-such-package")
	require.Equal(t, "needs no-such-program: apt-get install no-such-package", missing.why)
}

func TestWanted(t *testing.T) {
	t.Setenv(EnvLong, "")
	s := &skipper{TB: t}
	Wanted(s, EnvLong)
	require.Equal(t, "runs with E2E_LONG=1 only; see make help", s.why)
	t.Setenv(EnvLong, "1")
	s = &skipper{TB: t}
	Wanted(s, EnvLong)
	require.Empty(t, s.why)
}

func TestRoot(t *testing.T) {
	require.FileExists(t, filepath.Join(Root(t), "go.mod"))
	require.DirExists(t, filepath.Join(Root(t), "internal", "rig"))
}

func TestAddresses(t *testing.T) {
	directory := t.TempDir()
	_, err := readAddresses(directory)
	require.ErrorIs(t, err, os.ErrNotExist, "perceptor-dev is not ready")
	file := filepath.Join(directory, "addresses.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"temporal":"127.0.0.1:1","api":"127.0.0.1:5"}`), 0o600))
	a, err := readAddresses(directory)
	require.NoError(t, err)
	require.Equal(t, Addresses{Temporal: "127.0.0.1:1", API: "127.0.0.1:5"}, a)
	require.NoError(t, os.WriteFile(file, []byte(`{`), 0o600))
	_, err = readAddresses(directory)
	require.ErrorContains(t, err, "read the addresses of perceptor-dev")
}

func TestPercentile(t *testing.T) {
	values := []time.Duration{3, 1, 2, 5, 4}
	require.Equal(t, time.Duration(3), Percentile(values, 0.5))
	require.Equal(t, time.Duration(5), Percentile(values, 0.99))
	require.Equal(t, time.Duration(5), Percentile(values, 1))
	require.Zero(t, Percentile(nil, 0.5))
}

func TestLabelsKeepTheLastVerdict(t *testing.T) {
	l := &Labels{pods: map[string]model.PodVerdict{}}
	for _, status := range []model.OverallStatus{model.OverallUnknown, model.InViolation} {
		result, err := l.Write(context.Background(), []string{"a"}, func(context.Context, []string) ([]model.PodVerdict, error) {
			return []model.PodVerdict{{UID: "a", OverallStatus: status}}, nil
		})
		require.NoError(t, err)
		require.Equal(t, 1, result.Written)
	}
	require.Equal(t, model.InViolation, l.Of("a").OverallStatus)
	require.Equal(t, 1, l.WrittenPods())
	require.Equal(t, 2, l.Writes())
}

// TestPlans wants the same plan from the same numbers, and doomed pods that run only what others run too.
func TestPlans(t *testing.T) {
	var images []StoredImage
	for i := range 9 {
		digest := model.Digest(fmt.Sprintf("sha256:%064d", i))
		s := StoredImage{Repository: fmt.Sprintf("registry.example/app-%d", i), Tag: "1"}
		s.Manifests, s.Configs = map[string]model.Digest{"amd64": digest}, map[string]model.Digest{"amd64": digest}
		if i%3 == 2 {
			s.Index, s.Manifests["arm64"], s.Configs["arm64"] = digest, digest, digest
		}
		images = append(images, s)
	}
	pods, doomed := PlanPods(images, 60, 5), PlanDoomedPods(images, 12, 5, 2)
	require.Len(t, pods, 60)
	require.Len(t, doomed, 12)
	again := PlanPods(images, 60, 5)
	keys := map[string]bool{}
	for i, pod := range pods {
		require.Equal(t, pod.Pod, again[i].Pod)
		require.NotEmpty(t, pod.Runs)
		keys[pod.Key()] = true
	}
	require.Len(t, keys, 60, "no name is given twice")
	require.Subset(t, DigestsOf(pods), DigestsOf(doomed))
}
