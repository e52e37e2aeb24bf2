package model_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

func TestPodBounds(t *testing.T) {
	const longest = 700
	long := strings.Repeat("r", longest)
	reference := strings.Repeat("r", model.RepositoryLength) + ":" + strings.Repeat("1", model.TagLength)
	digest := model.Digest("sha256:" + strings.Repeat("a", 64))
	for _, row := range []struct {
		what   string
		change func(*model.Pod)
		wrong  string
	}{
		{"as it should be", func(*model.Pod) {}, ""},
		{"everything as long as possible", func(p *model.Pod) {
			p.Namespace, p.Name, p.UID = strings.Repeat("n", model.NamespaceLength), strings.Repeat("p", model.PodNameLength), strings.Repeat("u", model.UIDLength)
			p.Containers[0].Reference = reference
		}, ""},
		{"the longest image by itself", func(p *model.Pod) {
			*p = model.Pod{Bare: true, Namespace: model.BareImages, Containers: []model.Container{{Reference: reference, Digest: digest}}}
			p.UID = p.Key().UID
		}, ""},
		{"an image by itself with a name", func(p *model.Pod) { p.Bare = true }, "has no name"},
		{"two images by themselves", func(p *model.Pod) { p.Bare, p.Containers = true, append(p.Containers, p.Containers[0]) }, "has one container"},
		{"no namespace", func(p *model.Pod) { p.Namespace = "" }, "namespace is missing"},
		{"a namespace that no platform has", func(p *model.Pod) { p.Namespace = model.BareImages }, "underscore"},
		{"no name", func(p *model.Pod) { p.Name = "" }, "name is missing"},
		{"no UID", func(p *model.Pod) { p.UID = "" }, "uid is missing"},
		{"a long name", func(p *model.Pod) { p.Name = long }, "name has 700 characters; at most 253"},
		{"a long UID", func(p *model.Pod) { p.UID = strings.Repeat("u", model.UIDLength+1) }, "uid has"},
		{"a workload and labels", func(p *model.Pod) {
			p.Workload, p.Labels = model.Workload{Kind: "Deployment", Name: "web"}, map[string]string{"team": ""}
		}, ""},
		{"a workload without a kind", func(p *model.Pod) { p.Workload.Name = "web" }, "kind of the workload is missing"},
		{"a workload with a slash", func(p *model.Pod) { p.Workload = model.Workload{Kind: "Deployment", Name: "a/b"} }, "slash"},
		{"a label without a key", func(p *model.Pod) { p.Labels = map[string]string{"": "x"} }, "want a key"},
		{"a long label", func(p *model.Pod) { p.Labels = map[string]string{"team": long} }, "label team has"},
		{"a long reason for the platform", func(p *model.Pod) { p.PlatformProblem = long }, "platform problem has"},
		{"a long credential", func(p *model.Pod) { p.Credential = long }, "credential has"},
		{"a long platform", func(p *model.Pod) { p.Platform.Variant = long }, "platform has"},
		{"a long name of a container", func(p *model.Pod) { p.Containers[0].Name = long }, "container 0: name has"},
		{"an odd kind", func(p *model.Pod) { p.Containers[0].Kind = "odd" }, "kind"},
		{"a long repository", func(p *model.Pod) { p.Containers[0].Reference = long }, "repository has"},
		{"a long tag", func(p *model.Pod) { p.Containers[0].Reference = "app:" + long }, "tag has"},
		{"a space in the reference", func(p *model.Pod) { p.Containers[0].Reference = "a b" }, "a space"},
		{"no reference", func(p *model.Pod) { p.Containers[0].Reference = "" }, "without a repository"},
		{"a long name at the hub", func(p *model.Pod) { p.Containers[0].HubNames = &model.HubNames{Project: long} }, "project at the hub has"},
		{"too many containers", func(p *model.Pod) { p.Containers = make([]model.Container, model.ContainersAtMost+1) }, "501 containers"},
	} {
		t.Run(row.what, func(t *testing.T) {
			p := model.Pod{UID: "u", Namespace: "n", Name: "p", Containers: []model.Container{{Name: "c", Reference: "registry.example/app:1", Digest: digest}}}
			row.change(&p)
			if row.wrong == "" {
				require.NoError(t, p.Check())
				return
			}
			require.ErrorContains(t, p.Check(), row.wrong)
		})
	}
}
