package api

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/perceptor/perceptor/model"
)

// The dump of /model, for people and for tools that compare. Its form is the original's, its content what is known here.
// Fields for what does not exist here are there, empty. Nothing in it is secret.

// modelDump is the dump of the last releases.
type modelDump struct {
	BlackDucks map[string]modelHub
	CoreModel  coreModel
	Config     modelConfig
	Scheduler  struct{}
}

// oldModel is the dump of the first releases, without the password that was in it.
type oldModel struct {
	Pods                map[string]modelPod
	Images              map[string]modelImage
	ImageScanQueue      []oldImageKey
	ImageHubCheckQueue  []oldImageKey
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

// modelImage is one image. Failure is not the original's: why there is no verdict, and when the next scan starts.
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

type oldImageKey struct{ Name, Sha string }

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

// getModel dumps what is known of the caller's cluster.
func (s *Server) getModel(c *call) error {
	hubs, err := s.options.Backend.Hubs(c.Context())
	if err != nil {
		return fmt.Errorf("look for the hubs: %w", err)
	}
	m := coreModel{Pods: map[string]modelPod{}, Images: map[string]modelImage{}, ImageScanQueue: []modelQueued{}, ImageTransitions: []struct{}{}}
	if err := s.everyPod(c.Context(), c.grant.Home(), m.add); err != nil {
		return err
	}
	m.queue()
	limit := 0
	blackDucks := map[string]modelHub{}
	for _, h := range hubs.Hubs {
		limit += h.Limit
		blackDucks[h.Name] = modelHubOf(h)
	}
	config := modelConfig{ConcurrentScanLimit: limit}
	if s.options.Old {
		return s.writeJSON(c, http.StatusOK, oldModel{
			Pods: m.Pods, Images: m.Images, ImageScanQueue: m.oldQueue(), ImageHubCheckQueue: []oldImageKey{}, ConcurrentScanLimit: limit, Config: config,
		})
	}
	return s.writeJSON(c, http.StatusOK, modelDump{BlackDucks: blackDucks, CoreModel: m, Config: config})
}

func (m *coreModel) add(row model.PodVerdict) {
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
