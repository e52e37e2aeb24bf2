package api

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/perceptor/perceptor/model"
)

// The answers of /scanresults. The keys are those of the original, in its order.

// scannedPod is a pod all of whose images are scanned.
type scannedPod struct {
	Namespace        string
	Name             string
	PolicyViolations int
	Vulnerabilities  int
	OverallStatus    string
}

// scannedImage is an image as the last releases named it.
type scannedImage struct {
	Repository       string
	Tag              string
	Sha              string
	PolicyViolations int
	Vulnerabilities  int
	OverallStatus    string
	ComponentsURL    string
}

// oldScannedImage is an image as the first releases named it.
type oldScannedImage struct {
	Name             string
	Sha              string
	PolicyViolations int
	Vulnerabilities  int
	OverallStatus    string
	ComponentsURL    string
}

type scanResults struct {
	Pods   []scannedPod
	Images []scannedImage
}

// oldScanResults name versions that nobody knows here; annotations written from them are empty, as with the last releases.
type oldScanResults struct {
	HubScanClientVersion string
	HubVersion           string
	Pods                 []scannedPod
	Images               []oldScannedImage
}

// getScanResults answers what is Complete: an image that is not scanned is not in it, nor is a pod with such an image, or
// without any container.
func (s *Server) getScanResults(c *call) error {
	results := newResults(s.options.Old)
	if err := s.everyPod(c.Context(), c.grant.Home(), results.add); err != nil {
		return err
	}
	pods, images := results.sorted()
	if !s.options.Old {
		return s.writeJSON(c, http.StatusOK, scanResults{Pods: pods, Images: images})
	}
	old := make([]oldScannedImage, len(images))
	for i, each := range images {
		old[i] = oldScannedImage{
			Name: each.Repository, Sha: each.Sha, PolicyViolations: each.PolicyViolations, Vulnerabilities: each.Vulnerabilities,
			OverallStatus: each.OverallStatus, ComponentsURL: each.ComponentsURL,
		}
	}
	return s.writeJSON(c, http.StatusOK, oldScanResults{Pods: pods, Images: old})
}

// joinPage is how many rows are asked for at a time.
const joinPage = 1000

// everyPod goes through all rows of a cluster.
func (s *Server) everyPod(ctx context.Context, cluster string, do func(model.PodVerdict)) error {
	query := PodQuery{Cluster: cluster, Limit: joinPage}
	for {
		page, err := s.options.Backend.Pods(ctx, query)
		if err != nil {
			return fmt.Errorf("read the join of cluster %s: %w", cluster, err)
		}
		for _, each := range page.Pods {
			do(each)
		}
		if page.Next == "" {
			return nil
		}
		query.After = page.Next
	}
}

// results gather the answer.
type results struct {
	count  func(model.Counts) int
	pods   []scannedPod
	images map[imageKey]imageResult
}

// imageKey is what a perceiver finds an image by: the repository and the digest that its runtime reports, which may be
// an index's.
type imageKey struct {
	repository string
	digest     model.Digest
}

// imageResult is what stands under one key. Two platforms of one index are two images under it.
type imageResult struct {
	tag string
	model.Summary
}

func newResults(old bool) *results {
	return &results{count: counting(old), pods: []scannedPod{}, images: map[imageKey]imageResult{}}
}

// counting is what a generation called the number of vulnerabilities: the components of the worst severities.
func counting(old bool) func(model.Counts) int {
	if old {
		return func(c model.Counts) int { return c.High }
	}
	return func(c model.Counts) int { return c.Critical + c.High }
}

func (r *results) add(row model.PodVerdict) {
	for _, c := range row.Containers {
		r.addImage(c)
	}
	if row.Bare || row.Status != model.StatusComplete || len(row.Containers) == 0 {
		return
	}
	r.pods = append(r.pods, scannedPod{
		Namespace: row.Namespace, Name: row.Name, PolicyViolations: row.PolicyViolations,
		Vulnerabilities: r.count(row.Vulnerabilities), OverallStatus: string(row.OverallStatus),
	})
}

func (r *results) addImage(c model.ContainerVerdict) {
	digest := c.Reported
	if digest == "" {
		digest = c.Image.Digest
	}
	if digest == "" {
		return
	}
	repository, tag := model.SplitReference(c.Reference)
	key := imageKey{repository, digest}
	known, seen := r.images[key]
	if !seen {
		r.images[key] = imageResult{tag, c.Image}
		return
	}
	r.images[key] = imageResult{min(known.tag, tag), worse(known.Summary, c.Image)}
}

// worse is what is said of two images under one name: nothing unless both are scanned, and then the worse.
func worse(a, b model.Summary) model.Summary {
	switch {
	case a.Digest == b.Digest && b.Version.Before(a.Version):
		return a
	case a.Digest == b.Digest:
		return b
	case a.Status != model.StatusComplete:
		return a
	case b.Status != model.StatusComplete:
		return b
	case a.OverallStatus != b.OverallStatus && a.OverallStatus.Worst(b.OverallStatus) == a.OverallStatus:
		return a
	case a.OverallStatus != b.OverallStatus:
		return b
	case a.Vulnerabilities.Critical+a.Vulnerabilities.High >= b.Vulnerabilities.Critical+b.Vulnerabilities.High:
		return a
	}
	return b
}

// sorted is the answer, always in the same order.
func (r *results) sorted() ([]scannedPod, []scannedImage) {
	images := make([]scannedImage, 0, len(r.images))
	for key, each := range r.images {
		if each.Status != model.StatusComplete {
			continue
		}
		images = append(images, scannedImage{
			Repository: key.repository, Tag: each.tag, Sha: key.digest.Hex(), PolicyViolations: each.PolicyViolations,
			Vulnerabilities: r.count(each.Vulnerabilities), OverallStatus: string(each.OverallStatus), ComponentsURL: each.ComponentsURL,
		})
	}
	slices.SortFunc(images, func(a, b scannedImage) int {
		return cmp.Or(cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.Sha, b.Sha))
	})
	slices.SortFunc(r.pods, func(a, b scannedPod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return r.pods, images
}
