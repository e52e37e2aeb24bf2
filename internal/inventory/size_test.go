package inventory_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/inventory"
	"github.com/perceptor/perceptor/model"
)

// randomDigest cannot be compressed but for its being hexadecimal.
func randomDigest(random *rand.Rand) model.Digest {
	return model.Digest(fmt.Sprintf("sha256:%016x%016x%016x%016x", random.Uint64(), random.Uint64(), random.Uint64(), random.Uint64()))
}

func word(random *rand.Rand, length int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	text := make([]byte, length)
	for i := range text {
		text[i] = letters[random.IntN(len(letters))]
	}
	return string(text)
}

// manyPods are pods as a cluster has them: deployments of some pods each, with sidecars.
func manyPods(random *rand.Rand, count int) []model.Pod {
	var pods []model.Pod
	proxy := model.Container{Name: "proxy", Kind: model.ContainerSidecar, Reference: "registry.example/mesh/proxy:1.27.3", Digest: randomDigest(random)}
	for len(pods) < count {
		deployment := "service-" + word(random, 12)
		app := model.Container{Name: "app", Reference: "registry.example/team-" + word(random, 6) + "/" + deployment + ":2026.11." + word(random, 4), Digest: randomDigest(random)}
		set := word(random, 10)
		for range min(5, count-len(pods)) {
			uid := fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", random.Uint32(), random.IntN(1<<16), random.IntN(1<<16), random.IntN(1<<16), random.Uint64()>>16)
			pods = append(pods, model.Pod{
				UID: uid, Namespace: "n", Name: deployment + "-" + set + "-" + word(random, 5),
				Platform: model.Platform{OS: "linux", Architecture: "amd64"}, Containers: []model.Container{app, proxy},
			})
		}
	}
	return pods
}

func TestNamespaceOfManyPodsFits(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	b := inventory.New(start, nil)
	pods := manyPods(random, 5000)
	for i := 0; i < len(pods); i += 500 {
		b.Part(start, at(1), i/500+1, 10, pods[i:i+500])
	}
	resolve(b, start)
	for d := range b.Images {
		b.Learn(model.Summary{
			Digest: d, Version: at(random.Int64N(1 << 40)), Status: model.StatusComplete, OverallStatus: model.InViolation, Findings: random.IntN(500),
			Vulnerabilities: model.Counts{Critical: random.IntN(9), High: random.IntN(99), Low: random.IntN(999)}, Hubs: []string{"hub-1"}, JudgedAt: start,
			ComponentsURL: "https://hub.example/api/projects/" + word(random, 36) + "/versions/" + word(random, 36) + "/components",
		})
	}
	require.Equal(t, inventory.Counts{Pods: 5000, Violations: 5000}, b.Counts())
	require.Less(t, b.Size(), inventory.Limit/2, "5,000 pods fit twice")
	t.Logf("packed: %d KiB", b.Size()>>10)
	b = travelled(t, b)
	b.Change(start, at(2), manyPods(random, 5000), nil)
	require.Equal(t, 10_000, len(b.Pods)+len(b.Refused))
	require.Greater(t, len(b.Pods), 9000)
}

func TestBookRefusesWhatDoesNotFit(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	measured := 0
	var b *inventory.Book
	b = inventory.New(start, func() int { measured++; return b.Size() })
	var last model.Pod
	for len(b.Refused) == 0 {
		last = model.Pod{UID: word(random, 400), Namespace: "n", Name: word(random, 250)}
		for range 20 {
			last.Containers = append(last.Containers, model.Container{Name: word(random, 250), Reference: "registry.example/" + word(random, 490), Digest: randomDigest(random)})
		}
		b.Change(start, at(1), []model.Pod{last}, nil)
	}
	require.Less(t, b.Size(), inventory.Limit)
	require.Greater(t, b.Size(), inventory.Limit/2, "it refuses nothing before it must")
	require.Less(t, measured, 40, "it is measured now and then, not for every pod")
	require.Equal(t, 1, b.Counts().Refused)

	// Small ones are refused too, what is here stays and may change, and room comes back.
	for uid := range b.Pods {
		b.Change(start, at(3), nil, []model.PodKey{{UID: uid}})
	}
	b.Change(start, at(3), []model.Pod{last}, nil)
	require.Empty(t, b.Refused)
	require.Len(t, b.Pods, 1)
}

func TestBadPodsAreRefused(t *testing.T) {
	b := inventory.New(start, nil)
	bad := pod("a", 1)
	bad.Containers = make([]model.Container, 10_000)
	b.Change(start, at(1), []model.Pod{bad, pod("b", 1)}, nil)
	require.Equal(t, inventory.Counts{Pods: 1, Unscanned: 1, Refused: 1, Unknown: 1}, b.Counts())
	b.Part(start, at(2), 1, 1, []model.Pod{pod("b", 1)})
	require.Zero(t, b.Counts().Refused, "a snapshot without it")
}
