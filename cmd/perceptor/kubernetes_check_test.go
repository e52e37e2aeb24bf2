//go:build e2e || bench

package main_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/perceptor/perceptor/internal/kubetest"
	"github.com/perceptor/perceptor/model"
)

// report is how the join stands, by what the API server, the hub and the API say.
type report struct {
	// joined are the pods that are in the cluster, in the join and in their own labels and annotations as the hub judges them.
	joined int
	// images are the manifests in the rows of these pods, scans the successful scans at the hub.
	images, scans int
	// stale are rows of pods that the cluster does not have, and pods whose labels or annotations say something else than the hub.
	stale int
	// faults is how much is not as it must be, and wrong says what of it comes first.
	faults int
	wrong  []string
}

func (r *report) complain(format string, args ...any) {
	const most = 40
	if r.faults++; len(r.wrong) < most {
		r.wrong = append(r.wrong, fmt.Sprintf(format, args...))
	}
}

// inCluster is a pod as the API server has it.
type inCluster struct {
	Metadata struct {
		Namespace   string            `json:"namespace"`
		Name        string            `json:"name"`
		UID         string            `json:"uid"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
}

func (p inCluster) key() string { return p.Metadata.Namespace + "/" + p.Metadata.Name }

// podsInCluster asks the API server for every pod.
func (w *world) podsInCluster(ctx context.Context) (map[string]inCluster, error) {
	var list struct {
		Items []inCluster `json:"items"`
	}
	if err := w.kube.Get(ctx, "/api/v1/pods", &list); err != nil {
		return nil, err
	}
	all := map[string]inCluster{}
	for _, pod := range list.Items {
		all[pod.key()] = pod
	}
	return all, nil
}

// rows asks Perceptor's API for the join of the whole cluster.
func (w *world) rows(ctx context.Context) ([]model.PodVerdict, error) {
	var all []model.PodVerdict
	for cursor := ""; ; {
		query := url.Values{"cluster": {clusterName}, "limit": {"100"}}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		var page struct {
			Pods []model.PodVerdict `json:"pods"`
			Next string             `json:"next"`
		}
		if err := w.askAPI(ctx, "/api/v1/pods?"+query.Encode(), &page); err != nil {
			return nil, err
		}
		all = append(all, page.Pods...)
		if cursor = page.Next; cursor == "" {
			return all, nil
		}
	}
}

// askAPI reads a JSON answer of Perceptor's API.
func (w *world) askAPI(ctx context.Context, path string, into any) error {
	return askJSON(ctx, http.DefaultClient, http.MethodGet, "http://"+w.api+path, "Bearer "+w.reader, into)
}

// expected is what must be said of a pod.
type expected struct {
	containers      []expectedContainer
	overall         model.OverallStatus
	violations, bad int
}

type expectedContainer struct {
	name, repository string
	digest           model.Digest
	judgement
}

// expect adds up what the hub says of a pod's containers, the main ones first.
func expect(p planned, judged map[model.Digest]judgement) expected {
	e := expected{overall: model.NotInViolation}
	for _, kind := range [][]kubetest.Kind{{kubetest.Main}, {kubetest.Init, kubetest.Sidecar}, {kubetest.Ephemeral}} {
		for _, c := range p.Containers {
			if !slices.Contains(kind, c.Kind) {
				continue
			}
			repository := c.Image[:strings.LastIndex(c.Image, ":")]
			digest := p.runs[c.Name]
			e.containers = append(e.containers, expectedContainer{c.Name, repository, digest, judged[digest]})
			e.overall = e.overall.Worst(judged[digest].overall)
			e.violations += judged[digest].violations
			e.bad += judged[digest].bad()
		}
	}
	return e
}

// check compares the cluster, the join, the labels and annotations of every pod, and the hub.
func (w *world) check(ctx context.Context) (report, error) {
	var r report
	pods, err := w.podsInCluster(ctx)
	if err != nil {
		return r, err
	}
	rows, err := w.rows(ctx)
	if err != nil {
		return r, err
	}
	w.lock.Lock()
	alive := maps.Clone(w.alive)
	w.lock.Unlock()
	judged, err := w.judgements(ctx, slices.Collect(maps.Values(alive)), &r)
	if err != nil {
		return r, err
	}
	byUID := map[string]model.PodVerdict{}
	for _, row := range rows {
		byUID[row.UID] = row
	}
	if len(byUID) != len(rows) {
		r.complain("%d rows of %d pods", len(rows), len(byUID))
	}
	images := map[model.Digest]bool{}
	for key, p := range alive {
		pod, there := pods[key]
		if !there {
			r.complain("%s is not in the cluster", key)
			continue
		}
		row, there := byUID[pod.Metadata.UID]
		delete(byUID, pod.Metadata.UID)
		if !there {
			r.complain("%s is not in the join", key)
			continue
		}
		e := expect(p, judged)
		if !r.checkRow(key, row, e) {
			continue
		}
		if !r.checkMarks(pod, e) {
			r.stale++
			continue
		}
		r.joined++
		for _, c := range row.Containers {
			images[c.Image.Digest] = true
		}
	}
	for _, row := range byUID {
		if _, there := pods[row.Namespace+"/"+row.Name]; !there {
			r.stale++
			r.complain("%s/%s is in the join and not in the cluster", row.Namespace, row.Name)
		}
	}
	r.images = len(images)
	return r, nil
}

// judgements are what the hub says of every image that pods run; each must have been scanned exactly once.
func (w *world) judgements(ctx context.Context, pods []planned, r *report) (map[model.Digest]judgement, error) {
	counted := w.stats(w.t)
	r.scans = counted.ScansSucceeded
	hub, err := w.readHub(ctx)
	if err != nil {
		return nil, err
	}
	judged := map[model.Digest]judgement{}
	for _, digest := range digestsOf(pods) {
		if n := counted.ScansByName[digest.Hex()]; n != 1 {
			r.complain("%s: %d successful scans", digest, n)
			continue
		}
		if judged[digest], err = hub.judge(ctx, digest); err != nil {
			return nil, err
		}
	}
	return judged, nil
}

// checkRow compares a row of the join with what must be there.
func (r *report) checkRow(key string, row model.PodVerdict, e expected) bool {
	before := r.faults
	bad := row.Vulnerabilities.Critical + row.Vulnerabilities.High
	if row.Status != model.StatusComplete || row.OverallStatus != e.overall || row.PolicyViolations != e.violations || bad != e.bad {
		r.complain("%s: the join says %s, %s, %d violations, %d vulnerabilities; want %s, %d, %d", key,
			row.Status, row.OverallStatus, row.PolicyViolations, bad, e.overall, e.violations, e.bad)
	}
	if len(row.Containers) != len(e.containers) {
		r.complain("%s: the join has %d containers; want %d", key, len(row.Containers), len(e.containers))
		return false
	}
	byName := map[string]model.ContainerVerdict{}
	for _, c := range row.Containers {
		byName[c.Name] = c
	}
	for _, c := range e.containers {
		if got := byName[c.name].Image.Digest; got != c.digest {
			r.complain("%s, container %s: the join has %s; want %s", key, c.name, got, c.digest)
		}
	}
	return r.faults == before
}
