package apitest

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/model"
)

// Memory is a backend that keeps everything in memory, with the rules of the workflows. It is safe for concurrent use; the
// exported fields are for a test while no request is in progress.
type Memory struct {
	External
	lock sync.Mutex
	// Reports are the reports in the order of their arrival.
	Reports  []model.PodReport
	pods     map[string]map[string]model.Pod // by cluster and UID
	verdicts map[model.Digest]model.Summary
	// HubList are the hubs.
	HubList []api.Hub
	// Asked are the calls, as text.
	Asked []string
	// Down is what every call returns while it is set.
	Down error
	// StuckNow and NotWatched are what Stuck returns.
	StuckNow   api.Stuck
	NotWatched error
}

// NewMemory makes a backend with one hub.
func NewMemory() *Memory {
	m := &Memory{}
	m.Reset()
	return m
}

// Reset makes the backend as NewMemory does.
func (m *Memory) Reset() {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.pods, m.verdicts = map[string]map[string]model.Pod{}, map[model.Digest]model.Summary{}
	m.HubList = []api.Hub{{Name: "main", Limit: 2, Configured: 2}}
	m.Reports, m.Asked, m.Down = nil, nil, nil
	m.External = External{memory: m, holders: map[model.Digest]string{}}
}

// Report implements api.Backend.
func (m *Memory) Report(_ context.Context, r model.PodReport) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.Down != nil {
		return m.Down
	}
	m.Reports = append(m.Reports, r)
	pods := m.pods[r.Cluster]
	if pods == nil {
		pods = map[string]model.Pod{}
		m.pods[r.Cluster] = pods
	}
	if r.Snapshot {
		for uid, p := range pods {
			if !p.Bare {
				delete(pods, uid)
			}
		}
	}
	for _, p := range r.Pods {
		pods[p.UID] = p
	}
	for _, key := range r.Gone {
		for uid, p := range pods {
			if p.Namespace == key.Namespace && p.Name == key.Name && (key.UID == "" || key.UID == uid) {
				delete(pods, uid)
			}
		}
	}
	return nil
}

// Judge gives an image a verdict.
func (m *Memory) Judge(s model.Summary) {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.verdicts[s.Digest] = s
}

// Last returns the newest report.
func (m *Memory) Last() model.PodReport {
	m.lock.Lock()
	defer m.lock.Unlock()
	return m.Reports[len(m.Reports)-1]
}

// Pods implements api.Backend.
func (m *Memory) Pods(_ context.Context, q api.PodQuery) (api.PodPage, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.Down != nil {
		return api.PodPage{}, m.Down
	}
	m.Asked = append(m.Asked, "pods "+q.Cluster+" "+q.Namespace+" "+string(q.Status)+" "+string(q.OverallStatus)+" "+q.Image)
	var rows []model.PodVerdict
	for cluster, pods := range m.pods {
		if q.Cluster != "" && q.Cluster != cluster {
			continue
		}
		for _, p := range pods {
			row := m.join(cluster, p)
			if q.Namespace == "" || q.Namespace == row.Namespace {
				rows = append(rows, row)
			}
		}
	}
	slices.SortFunc(rows, func(a, b model.PodVerdict) int {
		return cmp.Compare(a.Namespace+"/"+a.Name+a.UID, b.Namespace+"/"+b.Name+b.UID)
	})
	from, _ := strconv.Atoi(q.After)
	to := min(from+q.Limit, len(rows))
	page := api.PodPage{Pods: rows[from:to]}
	if to < len(rows) {
		page.Next = strconv.Itoa(to)
	}
	return page, nil
}

func (m *Memory) join(cluster string, p model.Pod) model.PodVerdict {
	containers := []model.ContainerVerdict{}
	for _, c := range p.Containers {
		known, is := m.verdicts[c.Digest]
		if !is {
			known = model.Unscanned(c.Digest)
		}
		containers = append(containers, model.ContainerVerdict{Name: c.Name, Reference: c.Reference, Reported: c.Digest, Image: known})
	}
	return model.Join(cluster, p, containers).At(time.Now())
}

// Clusters implements api.Backend.
func (m *Memory) Clusters(context.Context) ([]api.Cluster, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	var all []api.Cluster
	for name, pods := range m.pods {
		all = append(all, api.Cluster{Name: name, Namespaces: []api.Namespace{{Name: "all", Pods: len(pods)}}})
	}
	slices.SortFunc(all, func(a, b api.Cluster) int { return cmp.Compare(a.Name, b.Name) })
	return all, m.Down
}

// Cluster implements api.Backend.
func (m *Memory) Cluster(ctx context.Context, name string) (api.Cluster, error) {
	all, err := m.Clusters(ctx)
	for _, each := range all {
		if each.Name == name {
			return each, err
		}
	}
	return api.Cluster{}, api.Failure{Class: model.NotFound, Reason: "no such cluster is known"}
}

// ForgetCluster implements api.Backend.
func (m *Memory) ForgetCluster(_ context.Context, name string) error {
	return m.note("forget " + name)
}

// Images implements api.Backend.
func (m *Memory) Images(ctx context.Context, q api.ImageQuery) (api.ImagePage, error) {
	page := api.ImagePage{Images: []api.ImageRow{}}
	m.lock.Lock()
	digests := slices.Sorted(maps.Keys(m.verdicts))
	m.lock.Unlock()
	for _, d := range digests {
		if runs, _ := m.Runs(ctx, q.Cluster, d); q.Cluster == "" || runs {
			page.Images = append(page.Images, api.ImageRow{Digest: d})
		}
	}
	return page, m.note("images " + q.Repository + " " + string(q.Status))
}

// Runs implements api.Backend.
func (m *Memory) Runs(_ context.Context, cluster string, d model.Digest) (bool, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	for _, p := range m.pods[cluster] {
		if slices.ContainsFunc(p.Containers, func(c model.Container) bool { return c.Digest == d }) {
			return true, m.Down
		}
	}
	return false, m.Down
}

// Image implements api.Backend.
func (m *Memory) Image(_ context.Context, d model.Digest) (api.Image, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	known, is := m.verdicts[d]
	if !is {
		return api.Image{}, api.Failure{Class: model.NotFound, Reason: "no such image is known"}
	}
	known = known.At(time.Now())
	return api.Image{Digest: d, Status: known.Status, OverallStatus: known.OverallStatus}, nil
}

// Findings implements api.Backend.
func (m *Memory) Findings(_ context.Context, _ model.Digest, hub string) (api.Findings, error) {
	found := api.Findings{Hub: cmp.Or(hub, "main"), Total: 3}
	for i := range 3 {
		found.Findings = append(found.Findings, model.Finding{ID: "F-" + strconv.Itoa(i), Severity: model.SeverityHigh})
	}
	return found, m.note("findings " + hub)
}

// Scan implements api.Backend.
func (m *Memory) Scan(_ context.Context, r api.ScanRequest) (api.ScanAccepted, error) {
	if strings.Contains(r.Reference, "missing") {
		return api.ScanAccepted{}, api.Failure{Class: model.NotFound, Reason: "the registry knows no such image"}
	}
	return api.ScanAccepted{Digest: DigestOf('a'), Platform: r.Platform.String()}, m.note("scan " + r.Reference + " for " + r.Who)
}

// Rescan implements api.Backend.
func (m *Memory) Rescan(_ context.Context, d model.Digest, reason string) error {
	return m.note("rescan " + string(d) + ": " + reason)
}

// Prioritize implements api.Backend.
func (m *Memory) Prioritize(_ context.Context, d model.Digest) error {
	if _, known := m.verdicts[d]; !known {
		return api.Failure{Class: model.NotFound, Reason: "no such image is known"}
	}
	return m.note("prioritize " + string(d))
}

// CountImages implements api.Backend.
func (m *Memory) CountImages(context.Context, model.ScanStatus, model.OverallStatus) (int64, error) {
	return 1, m.Down
}

// Stuck implements api.Backend.
func (m *Memory) Stuck(context.Context) (api.Stuck, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	return m.StuckNow, m.NotWatched
}

// Hubs implements api.Backend.
func (m *Memory) Hubs(context.Context) (api.HubsView, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	return api.HubsView{Hubs: slices.Clone(m.HubList), Leases: []api.Lease{}, Waiters: []api.Waiter{}}, m.Down
}

func (m *Memory) change(hub string, do func(*api.Hub)) (api.Hub, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	for i := range m.HubList {
		if m.HubList[i].Name == hub {
			do(&m.HubList[i])
			return m.HubList[i], m.Down
		}
	}
	return api.Hub{}, api.Failure{Class: model.Invalid, Reason: "no hub is named " + hub}
}

// LimitHub implements api.Backend.
func (m *Memory) LimitHub(_ context.Context, hub string, limit int) (api.Hub, error) {
	return m.change(hub, func(h *api.Hub) { h.Limit = limit })
}

// PauseHub implements api.Backend.
func (m *Memory) PauseHub(_ context.Context, hub string) (api.Hub, error) {
	return m.change(hub, func(h *api.Hub) { h.Paused = true })
}

// ResumeHub implements api.Backend.
func (m *Memory) ResumeHub(_ context.Context, hub string) (api.Hub, error) {
	return m.change(hub, func(h *api.Hub) { h.Paused = false })
}

// RetryHub implements api.Backend.
func (m *Memory) RetryHub(_ context.Context, hub string) error {
	_, err := m.change(hub, func(h *api.Hub) { h.TrippedSince, h.Reason = time.Time{}, "" })
	return err
}

// ResetLeases implements api.Backend.
func (m *Memory) ResetLeases(_ context.Context, d model.Digest) ([]model.Digest, error) {
	return []model.Digest{cmp.Or(d, DigestOf('b'))}, m.note("reset " + string(d))
}

// Ready implements api.Backend.
func (m *Memory) Ready(context.Context) error { return m.Down }

func (m *Memory) note(what string) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.Asked = append(m.Asked, what)
	return m.Down
}

// ErrDown is an error whose text no client may read.
var ErrDown = errors.New("rpc error: code = Unavailable desc = dial tcp 10.0.0.7:7233")

// DigestOf is a digest of one hexadecimal digit.
func DigestOf(digit byte) model.Digest { return model.Digest("sha256:" + Sha(digit)) }

// Sha is the same digest without the algorithm.
func Sha(digit byte) string { return strings.Repeat(string(digit), 64) }
