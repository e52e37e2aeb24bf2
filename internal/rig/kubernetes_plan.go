package rig

import (
	"fmt"
	"maps"
	"slices"

	"github.com/perceptor/perceptor/internal/kubetest"
	"github.com/perceptor/perceptor/model"
)

// PlannedPod is a pod of the test, with what is expected of it.
type PlannedPod struct {
	kubetest.Pod
	// Runs are the manifests its containers run, by container.
	Runs map[string]model.Digest
	// Later says that the containers are created only after the pod.
	Later bool
	// Doomed pods are deleted while the perceiver is dead, alone or with their namespace.
	Doomed bool
}

// Key is the namespace and the name.
func (p PlannedPod) Key() string { return p.Namespace + "/" + p.Name }

// Nodes are the machines of the cluster.
var Nodes = []kubetest.Node{
	{Name: "amd-1", Architecture: "amd64", Runtime: "containerd://2.1.4"},
	{Name: "amd-2", Architecture: "amd64", Runtime: "cri-o://1.33.1"},
	{Name: "arm-1", Architecture: "arm64", Runtime: "docker://28.1.1"},
}

// kinds of the containers a pod has, one after the other.
var kinds = []kubetest.Kind{kubetest.Main, kubetest.Init, kubetest.Sidecar, kubetest.Ephemeral}

// PlanPods plans pods: namespaces filled evenly, images, nodes, runtimes' forms and kinds of containers in all mixtures. The
// same number gives the same plan.
func PlanPods(images []StoredImage, pods, namespaces int) []PlannedPod {
	var all []PlannedPod
	for i := range pods {
		all = append(all, planPod(images, i, fmt.Sprintf("team-%02d", i%namespaces), fmt.Sprintf("app-%03d", i)))
	}
	return all
}

// PlanDoomedPods plans pods that will be deleted: some among those that stay, and some with their whole namespaces. Other pods run
// the same images, so that the number of scans does not depend on the time of the deletion.
func PlanDoomedPods(images []StoredImage, pods, namespaces, doomedNamespaces int) []PlannedPod {
	var all []PlannedPod
	for i := range pods {
		p := planPod(images, i, fmt.Sprintf("team-%02d", i%namespaces), fmt.Sprintf("doomed-%03d", i))
		if i < 3*doomedNamespaces {
			p.Namespace = fmt.Sprintf("doomed-%d", i%doomedNamespaces)
		}
		p.Doomed = true
		all = append(all, p)
	}
	return all
}

func planPod(images []StoredImage, i int, namespace, name string) PlannedPod {
	p := PlannedPod{Runs: map[string]model.Digest{}, Later: i%7 == 0}
	p.Namespace, p.Name, p.Labels = namespace, name, map[string]string{"app": name}
	node := Nodes[i%len(Nodes)]
	p.Node = node.Name
	for j := range 1 + i/3%3 {
		s := images[(i+4*j)%len(images)]
		if !slices.Contains(s.platforms(), node.Architecture) {
			// What runs on a node has the node's platform.
			s = images[2+3*((i+j)%(len(images)/3))]
		}
		f := forms[(i/len(Nodes)+j)%len(forms)]
		c := kubetest.Container{Name: fmt.Sprintf("c%d", j), Image: s.Reference(), ImageID: f.id(s, node.Architecture)}
		if j > 0 {
			c.Kind = kinds[(i/3+j)%len(kinds)]
		}
		if f.reported != nil {
			c.Reported = f.reported(s, node.Architecture)
		}
		p.Containers = append(p.Containers, c)
		p.Runs[c.Name] = s.Manifests[node.Architecture]
	}
	return p
}

// waiting is the pod before its containers are created.
func (p PlannedPod) waiting() kubetest.Pod {
	pod := p.Pod
	pod.Phase = "Pending"
	pod.Containers = slices.Clone(pod.Containers)
	for i := range pod.Containers {
		pod.Containers[i].ImageID = ""
	}
	return pod
}

// DigestsOf are the manifests that pods run, each once.
func DigestsOf(pods []PlannedPod) []model.Digest {
	all := map[model.Digest]bool{}
	for _, p := range pods {
		for _, digest := range p.Runs {
			all[digest] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}
