package api

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/perceptor/perceptor/model"
)

// namesKept is how long a list of pods by name is good for.
const namesKept = 5 * time.Second

// podNames finds pods by their name alone: the last perceivers say no more of a pod that is gone, and the original, which
// looked for namespace and name, never removed one of theirs.
type podNames struct {
	lock     sync.Mutex
	clusters map[string]namesOfCluster
}

type namesOfCluster struct {
	at   time.Time
	pods map[string][]model.PodKey
}

// find gives the pods of that name that are known in a cluster. Many ask at once when a namespace is deleted: one reads.
func (n *podNames) find(ctx context.Context, s *Server, cluster, name string) ([]model.PodKey, error) {
	n.lock.Lock()
	defer n.lock.Unlock()
	known, is := n.clusters[cluster]
	if is && time.Since(known.at) < namesKept {
		return known.pods[name], nil
	}
	known = namesOfCluster{pods: map[string][]model.PodKey{}}
	err := s.everyPod(ctx, cluster, func(row model.PodVerdict) {
		if !row.Bare {
			known.pods[row.Name] = append(known.pods[row.Name], model.PodKey{UID: row.UID, Namespace: row.Namespace, Name: row.Name})
		}
	})
	if err != nil {
		return nil, err
	}
	known.at = time.Now()
	if n.clusters == nil {
		n.clusters = map[string]namesOfCluster{}
	}
	n.clusters[cluster] = known
	return known.pods[name], nil
}

// deleteByName removes the one pod of a name. One that is not known needs nothing; of several nobody can tell which.
func (s *Server) deleteByName(c *call, name string) error {
	found, err := s.names.find(c.Context(), s, c.grant.Home(), name)
	if err != nil {
		return err
	}
	switch len(found) {
	case 0:
		return nil
	case 1:
		return s.report(c, model.PodReport{Gone: found})
	}
	var namespaces []string
	for _, each := range found {
		namespaces = append(namespaces, each.Namespace)
	}
	return refuse(http.StatusBadRequest, "pod %.80q is in the namespaces %s; send namespace/name", name, names(namespaces))
}
