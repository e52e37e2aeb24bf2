//go:build e2e || bench

package main_test

import (
	"fmt"
	"maps"
	"slices"

	"github.com/perceptor/perceptor/internal/kubetest"
	"github.com/perceptor/perceptor/model"
)

// planned is a pod of the test and what must become of it.
type planned struct {
	kubetest.Pod
	// runs are the manifests its containers run, by container.
	runs map[string]model.Digest
	// later are containers that are created only after the pod.
	later bool
	// doomed pods are deleted while the perceiver is dead; doomed ones without a reason of their own go with their namespace.
	doomed bool
}

func (p planned) key() string { return p.Namespace + "/" + p.Name }

// nodes are the machines of the cluster.
var nodes = []kubetest.Node{
	{Name: "amd-1", Architecture: "amd64", Runtime: "containerd://2.1.4"},
	{Name: "amd-2", Architecture: "amd64", Runtime: "cri-o://1.33.1"},
	{Name: "arm-1", Architecture: "arm64", Runtime: "docker://28.1.1"},
}

// kinds of the containers a pod has, one after the other.
var kinds = []kubetest.Kind{kubetest.Main, kubetest.Init, kubetest.Sidecar, kubetest.Ephemeral}

// plan draws up pods: namespaces filled evenly, images, nodes, runtimes' forms and kinds of containers in all mixtures. The
// same number gives the same plan.
func plan(images []stored, pods, namespaces int) []planned {
	var all []planned
	for i := range pods {
		all = append(all, planPod(images, i, fmt.Sprintf("team-%02d", i%namespaces), fmt.Sprintf("app-%03d", i)))
	}
	return all
}

// planDoomed draws up pods that will be deleted: some among those that stay, and some with all of their namespaces. They run what others
// run too, so that the number of scans does not hang on when they are deleted.
func planDoomed(images []stored, pods, namespaces, doomedNamespaces int) []planned {
	var all []planned
	for i := range pods {
		p := planPod(images, i, fmt.Sprintf("team-%02d", i%namespaces), fmt.Sprintf("doomed-%03d", i))
		if i < 3*doomedNamespaces {
			p.Namespace = fmt.Sprintf("doomed-%d", i%doomedNamespaces)
		}
		p.doomed = true
		all = append(all, p)
	}
	return all
}

func planPod(images []stored, i int, namespace, name string) planned {
	p := planned{runs: map[string]model.Digest{}, later: i%7 == 0}
	p.Namespace, p.Name, p.Labels = namespace, name, map[string]string{"app": name}
	node := nodes[i%len(nodes)]
	p.Node = node.Name
	for j := range 1 + i/3%3 {
		s := images[(i+4*j)%len(images)]
		if !slices.Contains(s.platforms(), node.Architecture) {
			// What runs on a node has the node's platform.
			s = images[2+3*((i+j)%(len(images)/3))]
		}
		f := forms[(i/len(nodes)+j)%len(forms)]
		c := kubetest.Container{Name: fmt.Sprintf("c%d", j), Image: s.reference(), ImageID: f.id(s, node.Architecture)}
		if j > 0 {
			c.Kind = kinds[(i/3+j)%len(kinds)]
		}
		if f.reported != nil {
			c.Reported = f.reported(s, node.Architecture)
		}
		p.Containers = append(p.Containers, c)
		p.runs[c.Name] = s.manifests[node.Architecture]
	}
	return p
}

// waiting is the pod before its containers are created.
func (p planned) waiting() kubetest.Pod {
	pod := p.Pod
	pod.Phase = "Pending"
	pod.Containers = slices.Clone(pod.Containers)
	for i := range pod.Containers {
		pod.Containers[i].ImageID = ""
	}
	return pod
}

// digestsOf are the manifests that pods run, each once.
func digestsOf(pods []planned) []model.Digest {
	all := map[model.Digest]bool{}
	for _, p := range pods {
		for _, digest := range p.runs {
			all[digest] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}
