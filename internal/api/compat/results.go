package compat

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/model"
)

// The answers of /scanresults. The keys and their order are those of 2018.

// scannedPod is a pod whose images are all scanned.
type scannedPod struct {
	Namespace        string
	Name             string
	PolicyViolations int
	Vulnerabilities  int
	OverallStatus    string
}

// scannedImage is an image in the form of the last releases.
type scannedImage struct {
	Repository       string
	Tag              string
	Sha              string
	PolicyViolations int
	Vulnerabilities  int
	OverallStatus    string
	ComponentsURL    string
}

// firstScannedImage is an image in the form of the first releases.
type firstScannedImage struct {
	Name             string
	Sha              string
	PolicyViolations int
	Vulnerabilities  int
	OverallStatus    string
	ComponentsURL    string
}

// scanResults is the answer in the form of the last releases.
type scanResults struct {
	Pods   []scannedPod
	Images []scannedImage
}

// firstScanResults has two versions that Perceptor does not know. Annotations made from them are empty, as with the last
// releases.
type firstScanResults struct {
	HubScanClientVersion string
	HubVersion           string
	Pods                 []scannedPod
	Images               []firstScannedImage
}

// getScanResults answers what is Complete. An image that is not scanned is not in the answer; nor is a pod with such an
// image, or a pod without containers.
func (e *endpoints) getScanResults(r *api.Request) error {
	if err := r.Enter(); err != nil {
		return err
	}
	results := newResults(e.firstReleases)
	if err := e.everyPod(r.Context(), r.Grant.Home(), results.addPod); err != nil {
		return err
	}
	pods, images := results.sorted()
	if !e.firstReleases {
		return e.writeJSON(r, http.StatusOK, scanResults{Pods: pods, Images: images})
	}
	first := make([]firstScannedImage, len(images))
	for i, each := range images {
		first[i] = firstScannedImage{
			Name: each.Repository, Sha: each.Sha, PolicyViolations: each.PolicyViolations, Vulnerabilities: each.Vulnerabilities,
			OverallStatus: each.OverallStatus, ComponentsURL: each.ComponentsURL,
		}
	}
	return e.writeJSON(r, http.StatusOK, firstScanResults{Pods: pods, Images: first})
}

// joinPage is how many rows of the join are read at a time.
const joinPage = 1000

// everyPod calls the function for every row of the join of a cluster.
func (e *endpoints) everyPod(ctx context.Context, cluster string, do func(model.PodVerdict)) error {
	query := api.PodQuery{Cluster: cluster, Limit: joinPage}
	for {
		page, err := e.server.Backend().Pods(ctx, query)
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

// results collects the answer.
type results struct {
	count  func(model.Counts) int
	pods   []scannedPod
	images map[imageKey]imageResult
}

// imageKey is how a perceiver finds an image: by the repository, and by the digest that the runtime reports, which may be
// the digest of an index.
type imageKey struct {
	repository string
	digest     model.Digest
}

// imageResult is the result under one key. Two platforms of one index are two images with one key.
type imageResult struct {
	tag string
	model.Summary
}

func newResults(firstReleases bool) *results {
	return &results{count: counter(firstReleases), pods: []scannedPod{}, images: map[imageKey]imageResult{}}
}

// counter returns how releases count vulnerabilities: the components of the worst severities.
func counter(firstReleases bool) func(model.Counts) int {
	if firstReleases {
		return func(c model.Counts) int { return c.High }
	}
	return func(c model.Counts) int { return c.Critical + c.High }
}

func (r *results) addPod(row model.PodVerdict) {
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

// worse is the result of two images with one key: unscanned unless both are scanned, and then the worse one.
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

// sorted returns the answer, always in the same order.
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
