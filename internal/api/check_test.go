package api

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

func podOf(change func(*model.Pod)) model.Pod {
	p := model.Pod{UID: "u", Namespace: "shop", Name: "web-1", Containers: []model.Container{
		{Name: "web", Reference: "registry.example:5000/team/web:1.2", Digest: model.Digest("sha256:" + strings.Repeat("a", 64))},
	}}
	change(&p)
	return p
}

func TestPodCheck(t *testing.T) {
	long := strings.Repeat("r", 2000)
	for _, row := range []struct {
		what   string
		change func(*model.Pod)
		wrong  string
	}{
		{"as it should be", func(*model.Pod) {}, ""},
		{"no container", func(p *model.Pod) { p.Containers = nil }, ""},
		{"not started", func(p *model.Pod) { p.Containers[0].Digest = "" }, ""},
		{"longest names", func(p *model.Pod) { p.Namespace, p.Name = strings.Repeat("n", 63), strings.Repeat("p", 253) }, ""},
		{"namespace missing", func(p *model.Pod) { p.Namespace = "" }, "namespace is missing"},
		{"name missing", func(p *model.Pod) { p.Name = "" }, "name is missing"},
		{"uid missing", func(p *model.Pod) { p.UID = "" }, "uid is missing"},
		{"slash", func(p *model.Pod) { p.Namespace = "a/b" }, "slash"},
		{"space", func(p *model.Pod) { p.Name = "a b" }, "space"},
		{"our own namespace", func(p *model.Pod) { p.Namespace = "_images" }, "underscore"},
		{"NUL", func(p *model.Pod) { p.Name = "a\x00b" }, "control character"},
		{"control in the reference", func(p *model.Pod) { p.Containers[0].Reference = "app\x1b[2J" }, "control character"},
		{"not UTF-8", func(p *model.Pod) { p.UID = "\xff" }, "not valid UTF-8"},
		{"long name", func(p *model.Pod) { p.Name = long }, "name has 2000 characters; at most 253"},
		{"long repository", func(p *model.Pod) { p.Containers[0].Reference = long + ":1" }, "repository has 2000 characters; at most 509"},
		{"long tag", func(p *model.Pod) { p.Containers[0].Reference = "app:" + long }, "tag has 2000 characters"},
		{"no repository", func(p *model.Pod) { p.Containers[0].Reference = ":1" }, "without a repository"},
		{"short digest", func(p *model.Pod) { p.Containers[0].Digest = p.Containers[0].Digest[:70] }, "got 63 characters"},
		{"bare digest", func(p *model.Pod) { p.Containers[0].Digest = p.Containers[0].Digest[7:] }, `want "sha256:" in front`},
		{"kind", func(p *model.Pod) { p.Containers[0].Kind = "odd" }, "want container, init, sidecar or ephemeral"},
		{"hub names", func(p *model.Pod) { p.Containers[0].HubNames = &model.HubNames{Project: long} }, "project at the hub has 2000"},
		{"containers", func(p *model.Pod) { p.Containers = make([]model.Container, 10_000) }, "10000 containers; at most 500"},
	} {
		t.Run(row.what, func(t *testing.T) {
			err := CheckPod(podOf(row.change))
			if row.wrong == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, row.wrong)
			require.Less(t, len(err.Error()), 300, "a reason does not repeat everything that was sent")
		})
	}
}

func TestSplitReference(t *testing.T) {
	for reference, want := range map[string][2]string{
		"app":                     {"app", ""},
		"app:1":                   {"app", "1"},
		"host:5000/app":           {"host:5000/app", ""},
		"host:5000/team/app:1.2":  {"host:5000/team/app", "1.2"},
		"registry.example/app:a_": {"registry.example/app", "a_"},
	} {
		repository, tag := model.SplitReference(reference)
		require.Equal(t, want, [2]string{repository, tag}, reference)
	}
}
