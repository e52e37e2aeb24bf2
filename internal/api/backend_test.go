package api_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/model"
)

// memory is a backend that keeps everything in memory, with the rules the workflows have.
type memory struct {
	lock     sync.Mutex
	reports  []model.PodReport
	pods     map[string]map[string]model.Pod // by cluster and UID
	verdicts map[model.Digest]model.Summary
	hubs     []api.Hub
	asked    []string
	// down is what every call answers while it is set.
	down error
}

func newMemory() *memory {
	return &memory{
		pods: map[string]map[string]model.Pod{}, verdicts: map[model.Digest]model.Summary{},
		hubs: []api.Hub{{Name: "main", Limit: 2, Configured: 2}},
	}
}

func (m *memory) Report(_ context.Context, r model.PodReport) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.down != nil {
		return m.down
	}
	m.reports = append(m.reports, r)
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

// judge gives an image a verdict.
func (m *memory) judge(s model.Summary) {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.verdicts[s.Digest] = s
}

func (m *memory) last() model.PodReport {
	m.lock.Lock()
	defer m.lock.Unlock()
	return m.reports[len(m.reports)-1]
}

func (m *memory) Pods(_ context.Context, q api.PodQuery) (api.PodPage, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.down != nil {
		return api.PodPage{}, m.down
	}
	m.asked = append(m.asked, "pods "+q.Cluster+" "+q.Namespace+" "+string(q.Status)+" "+string(q.OverallStatus)+" "+q.Image)
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

func (m *memory) join(cluster string, p model.Pod) model.PodVerdict {
	containers := []model.ContainerVerdict{}
	for _, c := range p.Containers {
		known, is := m.verdicts[c.Digest]
		if !is {
			known = model.Unscanned(c.Digest)
		}
		containers = append(containers, model.ContainerVerdict{Name: c.Name, Reference: c.Reference, Reported: c.Digest, Image: known})
	}
	return model.Join(cluster, p, containers)
}

func (m *memory) Clusters(context.Context) ([]api.Cluster, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	var all []api.Cluster
	for name, pods := range m.pods {
		all = append(all, api.Cluster{Name: name, Namespaces: []api.Namespace{{Name: "all", Pods: len(pods)}}})
	}
	slices.SortFunc(all, func(a, b api.Cluster) int { return cmp.Compare(a.Name, b.Name) })
	return all, m.down
}

func (m *memory) Cluster(ctx context.Context, name string) (api.Cluster, error) {
	all, err := m.Clusters(ctx)
	for _, each := range all {
		if each.Name == name {
			return each, err
		}
	}
	return api.Cluster{}, api.Failure{Class: model.NotFound, Reason: "no such cluster is known"}
}

func (m *memory) ForgetCluster(_ context.Context, name string) error {
	return m.note("forget " + name)
}

func (m *memory) Images(_ context.Context, q api.ImageQuery) (api.ImagePage, error) {
	return api.ImagePage{}, m.note("images " + q.Repository + " " + string(q.Status))
}

func (m *memory) Image(_ context.Context, d model.Digest) (api.Image, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	known, is := m.verdicts[d]
	if !is {
		return api.Image{}, api.Failure{Class: model.NotFound, Reason: "no such image is known"}
	}
	return api.Image{Digest: d, Status: known.Status, OverallStatus: known.OverallStatus}, nil
}

func (m *memory) Findings(_ context.Context, _ model.Digest, hub string) (api.Findings, error) {
	found := api.Findings{Hub: cmp.Or(hub, "main"), Total: 3}
	for i := range 3 {
		found.Findings = append(found.Findings, model.Finding{ID: "F-" + strconv.Itoa(i), Severity: model.SeverityHigh})
	}
	return found, m.note("findings " + hub)
}

func (m *memory) Scan(_ context.Context, r api.ScanRequest) (api.ScanAccepted, error) {
	if strings.Contains(r.Reference, "missing") {
		return api.ScanAccepted{}, api.Failure{Class: model.NotFound, Reason: "the registry knows no such image"}
	}
	return api.ScanAccepted{Digest: digestOf('a'), Platform: r.Platform.String()}, m.note("scan " + r.Reference + " for " + r.Who)
}

func (m *memory) Rescan(_ context.Context, d model.Digest, reason string) error {
	return m.note("rescan " + string(d) + ": " + reason)
}

func (m *memory) CountImages(context.Context, model.ScanStatus) (int64, error) { return 1, m.down }

func (m *memory) Hubs(context.Context) (api.HubsView, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	return api.HubsView{Hubs: slices.Clone(m.hubs), Leases: []api.Lease{}, Waiters: []api.Waiter{}}, m.down
}

func (m *memory) change(hub string, do func(*api.Hub)) (api.Hub, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	for i := range m.hubs {
		if m.hubs[i].Name == hub {
			do(&m.hubs[i])
			return m.hubs[i], m.down
		}
	}
	return api.Hub{}, api.Failure{Class: model.Invalid, Reason: "no hub is named " + hub}
}

func (m *memory) LimitHub(_ context.Context, hub string, limit int) (api.Hub, error) {
	return m.change(hub, func(h *api.Hub) { h.Limit = limit })
}

func (m *memory) PauseHub(_ context.Context, hub string) (api.Hub, error) {
	return m.change(hub, func(h *api.Hub) { h.Paused = true })
}

func (m *memory) ResumeHub(_ context.Context, hub string) (api.Hub, error) {
	return m.change(hub, func(h *api.Hub) { h.Paused = false })
}

func (m *memory) RetryHub(_ context.Context, hub string) error {
	_, err := m.change(hub, func(h *api.Hub) { h.TrippedSince, h.Reason = time.Time{}, "" })
	return err
}

func (m *memory) ResetLeases(_ context.Context, d model.Digest) ([]model.Digest, error) {
	return []model.Digest{cmp.Or(d, digestOf('b'))}, m.note("reset " + string(d))
}

func (m *memory) Ready(context.Context) error { return m.down }

func (m *memory) note(what string) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.asked = append(m.asked, what)
	return m.down
}

var errDown = errors.New("rpc error: code = Unavailable desc = dial tcp 10.0.0.7:7233")

func digestOf(digit byte) model.Digest { return model.Digest("sha256:" + sha(digit)) }

func sha(digit byte) string { return strings.Repeat(string(digit), 64) }
