package starter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/temporal"
	"golang.org/x/sync/errgroup"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// Pods is the client of perceivers: it reports pods, and reads the join of pods, images and verdicts.
type Pods struct{ link }

const (
	// partBytes bounds one signal: the server takes up to 2 MiB, and a run's history should hold many.
	partBytes = 200 << 10
	// reportAtOnce is how many signals of one report are sent at a time.
	reportAtOnce = 8
)

// lastSent is the newest version that a report without one got.
var lastSent atomic.Int64

// now is a version newer than every one this process gave out before.
func now() model.Version {
	for {
		last := lastSent.Load()
		next := max(time.Now().UnixNano(), last+1)
		if lastSent.CompareAndSwap(last, next) {
			return model.Version{Epoch: next}
		}
	}
}

// Report sends what a perceiver says of a cluster to its inventories. What it answers without an error is not lost. Any
// report may be sent again, with the same version, whether it failed or not. A *RefusedError names pods that cannot be
// taken; all others were taken, and sending the refused ones again does not help. A report may be of any size: it is sent
// in parts of about 200 KiB, at most eight at a time.
func (p Pods) Report(ctx context.Context, r model.PodReport) error {
	if err := model.CheckCluster(r.Cluster); err != nil {
		return fmt.Errorf("report pods: %w", err)
	}
	if r.Version == (model.Version{}) {
		r.Version = now()
	}
	split := splitReport(r)
	group, groupContext := errgroup.WithContext(ctx)
	group.SetLimit(reportAtOnce)
	for _, part := range split.parts() {
		group.Go(func() error { return p.sendPart(groupContext, r.Snapshot, part) })
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("report pods of cluster %s: %w", r.Cluster, err)
	}
	if r.Snapshot {
		if err := p.endSnapshot(ctx, r, split); err != nil {
			return fmt.Errorf("report pods of cluster %s: %w", r.Cluster, err)
		}
	}
	if len(split.refused) > 0 {
		return &RefusedError{Pods: split.refused}
	}
	return nil
}

func (p Pods) sendPart(ctx context.Context, snapshot bool, part workflows.SnapshotPart) error {
	if snapshot {
		return p.signalInventory(ctx, part.Cluster, part.Namespace, workflows.SignalSnapshot.Name, part)
	}
	return p.signalInventory(ctx, part.Cluster, part.Namespace, workflows.SignalPods.Name, part.PodsChanged)
}

func (p Pods) endSnapshot(ctx context.Context, r model.PodReport, split *reportSplit) error {
	end := workflows.SnapshotEnd{
		Cluster: r.Cluster, Version: r.Version, Scope: r.Scope, WriteBack: r.WriteBack, Domain: r.Domain, Namespaces: map[string]int{},
	}
	for name, n := range split.namespaces {
		end.Namespaces[name] = n.count
	}
	return p.signalCluster(ctx, r.Cluster, workflows.SignalSnapshotEnd.Name, end)
}

// signalInventory signals an inventory, which is started when it is not running.
func (l link) signalInventory(ctx context.Context, cluster, namespace, signal string, value any) error {
	err := l.signalOrStart(ctx, start{
		workflowType: workflows.TypeInventory, id: workflows.InventoryID(cluster, namespace), summary: "pods of " + namespace + " in " + cluster,
		attributes: temporal.NewSearchAttributes(
			workflows.AttributeCluster.ValueSet(workflows.Keyword(cluster)),
			workflows.AttributeNamespace.ValueSet(workflows.Keyword(namespace)),
		),
		input: workflows.InventoryInput{Cluster: cluster, Namespace: namespace},
	}, signal, value)
	if err != nil {
		return fmt.Errorf("signal the inventory of %s: %w", namespace, err)
	}
	return nil
}

// clusterStart is how a cluster is started.
func clusterStart(cluster string) start {
	return start{
		workflowType: workflows.TypeCluster, id: workflows.ClusterID(cluster), summary: "cluster " + cluster,
		attributes: temporal.NewSearchAttributes(workflows.AttributeCluster.ValueSet(workflows.Keyword(cluster))),
		input:      workflows.ClusterInput{Cluster: cluster},
	}
}

// signalCluster signals a cluster, which is started when it is not running.
func (l link) signalCluster(ctx context.Context, cluster, signal string, value any) error {
	err := l.signalOrStart(ctx, clusterStart(cluster), signal, value)
	if err != nil {
		return fmt.Errorf("signal the cluster: %w", err)
	}
	return nil
}

// reportSplit is a report by namespaces.
type reportSplit struct {
	report     model.PodReport
	namespaces map[string]*namespaceReport
	refused    []RefusedPod
}

type namespaceReport struct {
	chunks []workflows.PodsChanged
	bytes  int
	count  int
}

func splitReport(r model.PodReport) *reportSplit {
	split := &reportSplit{report: r, namespaces: map[string]*namespaceReport{}}
	for _, p := range r.Pods {
		split.pod(p)
	}
	if !r.Snapshot {
		for _, key := range r.Gone {
			split.gone(key)
		}
		for _, key := range r.Remark {
			split.remark(key)
		}
	}
	return split
}

func (s *reportSplit) pod(p model.Pod) {
	key := p.Key()
	p.UID, p.Namespace = key.UID, key.Namespace
	size, err := sizeOf(p, p.Namespace, p.Bare, p.Check)
	if err != nil {
		s.refused = append(s.refused, RefusedPod{Key: key, Reason: fmt.Sprintf("pod %.80q: %v", p.Name, err)})
		return
	}
	n := s.namespace(p.Namespace)
	n.count++
	chunk := n.chunk(s.report, p.Namespace, size)
	chunk.Pods = append(chunk.Pods, p)
}

// gone adds the key of a pod that has ended.
func (s *reportSplit) gone(key model.PodKey) {
	if chunk := s.keyed(key); chunk != nil {
		chunk.Gone = append(chunk.Gone, key)
	}
}

// remark adds the key of a pod whose marks someone else has changed.
func (s *reportSplit) remark(key model.PodKey) {
	if chunk := s.keyed(key); chunk != nil {
		chunk.Remark = append(chunk.Remark, key)
	}
}

// keyed is the signal that a key belongs to; nil where the key is refused.
func (s *reportSplit) keyed(key model.PodKey) *workflows.PodsChanged {
	named := func() error {
		if key.UID == "" && key.Name == "" {
			return errors.New("the key of a pod has neither UID nor name")
		}
		return nil
	}
	size, err := sizeOf(key, key.Namespace, key.Namespace == workflows.BareImages, named)
	if err != nil {
		s.refused = append(s.refused, RefusedPod{Key: key, Reason: err.Error()})
		return nil
	}
	return s.namespace(key.Namespace).chunk(s.report, key.Namespace, size)
}

// sizeOf checks what is to be sent and returns its size as JSON, in bytes.
func sizeOf(value any, namespace string, bare bool, check func() error) (int, error) {
	if namespace == workflows.BareImages && !bare {
		return 0, fmt.Errorf("namespace %q is kept for images that run in no pod", namespace)
	}
	if err := errors.Join(model.CheckNamespace(namespace), check()); err != nil {
		return 0, err
	}
	text, err := json.Marshal(value)
	if err != nil {
		return 0, fmt.Errorf("encode: %w", err)
	}
	return len(text), nil
}

func (s *reportSplit) namespace(name string) *namespaceReport {
	if s.namespaces[name] == nil {
		s.namespaces[name] = &namespaceReport{}
	}
	return s.namespaces[name]
}

// chunk is the signal that the next value of this size belongs to.
func (n *namespaceReport) chunk(r model.PodReport, namespace string, size int) *workflows.PodsChanged {
	if len(n.chunks) == 0 || n.bytes+size > partBytes {
		n.chunks = append(n.chunks, workflows.PodsChanged{
			Cluster: r.Cluster, Namespace: namespace, Version: r.Version, WriteBack: r.WriteBack, Domain: r.Domain,
		})
		n.bytes = 0
	}
	n.bytes += size
	return &n.chunks[len(n.chunks)-1]
}

// parts are all signals of the report, namespace by namespace.
func (s *reportSplit) parts() []workflows.SnapshotPart {
	var names []string
	for name := range s.namespaces {
		names = append(names, name)
	}
	slices.Sort(names)
	var parts []workflows.SnapshotPart
	for _, name := range names {
		chunks := s.namespaces[name].chunks
		for i, chunk := range chunks {
			parts = append(parts, workflows.SnapshotPart{PodsChanged: chunk, Part: i + 1, Parts: len(chunks)})
		}
	}
	return parts
}
