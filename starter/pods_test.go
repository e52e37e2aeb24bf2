package starter

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

func somePod(namespace, name string) model.Pod {
	return model.Pod{UID: "uid-" + name, Namespace: namespace, Name: name, Containers: []model.Container{{Name: "c", Reference: "registry.example/app:1"}}}
}

func TestReportIsSplitByNamespaceAndSize(t *testing.T) {
	r := model.PodReport{Cluster: "c", Version: model.Version{Epoch: 1}, WriteBack: true, Domain: "d"}
	for i := range 3000 {
		r.Pods = append(r.Pods, somePod("big", fmt.Sprintf("pod-%04d", i)))
	}
	r.Pods = append(r.Pods, somePod("small", "one"), model.Pod{Bare: true, Containers: []model.Container{{Reference: "registry.example/bare:1"}}})
	r.Gone = []model.PodKey{{Namespace: "third", Name: "gone"}}
	seen := map[string]int{}
	for _, part := range splitReport(r).parts() {
		text, err := json.Marshal(part)
		require.NoError(t, err)
		require.Less(t, len(text), 256<<10)
		require.True(t, part.WriteBack)
		require.Equal(t, "d", part.Domain)
		require.Equal(t, r.Version, part.Version)
		seen[part.Namespace] += len(part.Pods) + len(part.Gone)
		if part.Namespace == "big" {
			require.Greater(t, part.Parts, 1)
		}
	}
	require.Equal(t, map[string]int{"big": 3000, "small": 1, "third": 1, workflows.BareImages: 1}, seen)
}

func TestBadPodsAreRefusedAndTheOthersTaken(t *testing.T) {
	long := somePod("n", "long")
	long.Containers[0].Reference = strings.Repeat("x", 2000)
	many := somePod("n", "many")
	many.Containers = make([]model.Container, 10_000)
	odd := somePod("n", "odd")
	odd.Containers[0].Digest = "sha256:" + model.Digest(strings.Repeat("a", 63))
	split := splitReport(model.PodReport{Cluster: "c", Pods: []model.Pod{
		long, many, odd, somePod("n", "a\x00b"), somePod("a/b", "slash"), somePod(workflows.BareImages, "sly"), somePod("n", "good"),
	}, Gone: []model.PodKey{{Namespace: "n"}}})
	require.Len(t, split.refused, 7)
	parts := split.parts()
	require.Len(t, parts, 1)
	require.Equal(t, "good", parts[0].Pods[0].Name)
	require.ErrorContains(t, &RefusedError{Pods: split.refused}, "7 pods were refused, all others taken: ")
	require.ErrorContains(t, &RefusedError{Pods: split.refused}, "; and 2 more")
}

func TestVersionsOfAProcessGrow(t *testing.T) {
	last := now()
	for range 1000 {
		next := now()
		require.True(t, last.Before(next))
		last = next
	}
}
