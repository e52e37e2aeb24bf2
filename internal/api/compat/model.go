package compat

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/model"
)

// The dump of /model, for people and for tools that compare. Its form is that of 2018. Fields for things that do not exist
// any more are there and empty. Nothing in the dump is secret.

// modelDump is the dump in the form of the last releases.
type modelDump struct {
	BlackDucks map[string]modelHub
	CoreModel  coreModel
	Config     modelConfig
	Scheduler  struct{}
}

// firstModelDump is the dump in the form of the first releases, without the password of the hub.
type firstModelDump struct {
	Pods                map[string]modelPod
	Images              map[string]modelImage
	ImageScanQueue      []firstImageKey
	ImageHubCheckQueue  []firstImageKey
	ConcurrentScanLimit int
	Config              modelConfig
	HubVersion          string
}

type coreModel struct {
	Pods             map[string]modelPod
	Images           map[string]modelImage
	ImageScanQueue   []modelQueued
	ImageTransitions []struct{}
}

type modelPod struct {
	Name       string
	UID        string
	Namespace  string
	Containers []modelContainer
}

type modelContainer struct {
	Image modelContainerImage
	Name  string
}

type modelContainerImage struct {
	Repository string
	Tag        string
	Sha        string
}

// modelImage is one image. Failure is new: why there is no verdict, and when the next scan starts.
type modelImage struct {
	ScanStatus             string
	TimeOfLastStatusChange time.Time
	ScanResults            *modelResults
	ImageSha               string
	RepoTags               []modelRepoTag
	Failure                *model.Failure `json:",omitempty"`
}

type modelResults struct {
	OverallStatus    string
	PolicyViolations int
	Vulnerabilities  model.Counts
	ComponentsHref   string
}

type modelRepoTag struct{ Repository, Tag string }

type modelQueued struct {
	Key      string
	Priority int
}

type firstImageKey struct{ Name, Sha string }

type modelHub struct {
	Host                string
	Status              string
	Errors              []string
	ConcurrentScanLimit int
	InProgress          int
	CircuitBreaker      modelBreaker
}

type modelBreaker struct {
	State         string
	NextCheckTime *time.Time
}

type modelConfig struct{ ConcurrentScanLimit int }

// getModel dumps everything known about the cluster of the token.
func (e *endpoints) getModel(r *api.Request) error {
	if err := r.Enter(); err != nil {
		return err
	}
	hubs, err := e.server.Backend().Hubs(r.Context())
	if err != nil {
		return fmt.Errorf("read the hubs: %w", err)
	}
	m := coreModel{Pods: map[string]modelPod{}, Images: map[string]modelImage{}, ImageScanQueue: []modelQueued{}, ImageTransitions: []struct{}{}}
	if err := e.everyPod(r.Context(), r.Grant.Home(), m.addPod); err != nil {
		return err
	}
	m.listQueue()
	limit := 0
	blackDucks := map[string]modelHub{}
	for _, h := range hubs.Hubs {
		limit += h.Limit
		blackDucks[h.Name] = modelHubOf(h)
	}
	config := modelConfig{ConcurrentScanLimit: limit}
	if e.firstReleases {
		return e.writeJSON(r, http.StatusOK, firstModelDump{
			Pods: m.Pods, Images: m.Images, ImageScanQueue: m.firstQueue(), ImageHubCheckQueue: []firstImageKey{}, ConcurrentScanLimit: limit, Config: config,
		})
	}
	return e.writeJSON(r, http.StatusOK, modelDump{BlackDucks: blackDucks, CoreModel: m, Config: config})
}

func (m *coreModel) addPod(row model.PodVerdict) {
	p := modelPod{Name: row.Name, UID: row.UID, Namespace: row.Namespace, Containers: []modelContainer{}}
	for _, c := range row.Containers {
		repository, tag := model.SplitReference(c.Reference)
		sha := c.Image.Digest
		if sha == "" {
			sha = c.Reported
		}
		p.Containers = append(p.Containers, modelContainer{Name: c.Name, Image: modelContainerImage{Repository: repository, Tag: tag, Sha: sha.Hex()}})
		if sha != "" {
			m.addImage(sha, c.Image, modelRepoTag{repository, tag})
		}
	}
	if !row.Bare {
		m.Pods[row.Namespace+"/"+row.Name] = p
	}
}

func (m *coreModel) addImage(d model.Digest, known model.Summary, name modelRepoTag) {
	each, seen := m.Images[d.Hex()]
	if !seen {
		each = modelImage{ScanStatus: string(known.Status), ImageSha: d.Hex(), Failure: known.Failure, TimeOfLastStatusChange: known.JudgedAt}
		if known.Status == model.StatusComplete {
			each.ScanResults = &modelResults{
				OverallStatus: string(known.OverallStatus), PolicyViolations: known.PolicyViolations,
				Vulnerabilities: known.Vulnerabilities, ComponentsHref: known.ComponentsURL,
			}
		}
	}
	if !slices.Contains(each.RepoTags, name) {
		each.RepoTags = append(each.RepoTags, name)
	}
	m.Images[d.Hex()] = each
}

// listQueue lists the images that wait for their scan, by digest. The real order of the backlog depends on priorities and
// namespaces.
func (m *coreModel) listQueue() {
	for sha, each := range m.Images {
		if each.ScanStatus == string(model.StatusInQueue) {
			m.ImageScanQueue = append(m.ImageScanQueue, modelQueued{Key: sha})
		}
	}
	slices.SortFunc(m.ImageScanQueue, func(a, b modelQueued) int { return cmp.Compare(a.Key, b.Key) })
}

func (m *coreModel) firstQueue() []firstImageKey {
	queue := make([]firstImageKey, len(m.ImageScanQueue))
	for i, each := range m.ImageScanQueue {
		queue[i] = firstImageKey{Name: m.Images[each.Key].RepoTags[0].Repository, Sha: each.Key}
	}
	return queue
}

// modelHubOf shows a hub in the words of 2018: the circuit breaker of a tripped hub was called disabled.
func modelHubOf(h api.Hub) modelHub {
	shown := modelHub{Host: h.Name, Status: "up", Errors: []string{}, ConcurrentScanLimit: h.Limit, InProgress: h.InUse, CircuitBreaker: modelBreaker{State: "enabled"}}
	if !h.TrippedSince.IsZero() {
		shown.Status, shown.Errors = "down", []string{h.Reason}
		shown.CircuitBreaker = modelBreaker{State: "disabled", NextCheckTime: &h.NextProbe}
	}
	return shown
}
