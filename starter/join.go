package starter

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// JoinFilter narrows the join; empty fields do not.
type JoinFilter struct {
	// Cluster is the name of one cluster; the join of one that is not known is ErrUnknownCluster.
	Cluster   string
	Namespace string
	// Status and OverallStatus are those of pods.
	Status        model.ScanStatus
	OverallStatus model.OverallStatus
	// Image is a part of a container's reference, or a digest.
	Image string
	// Workload is a workload's name, or its kind and name such as "deployment/web".
	Workload string
	// Labels are labels that pods must have with these values.
	Labels map[string]string
	// UIDs are the pods asked for.
	UIDs []string
	// After is the Next of the page before; empty begins with the first page.
	After string
	// Limit is the largest number of rows of a page: 500 when it is 0, never more than 5,000.
	Limit int
}

// JoinPage is one page of the join, in the order of clusters, namespaces, names and UIDs.
type JoinPage struct {
	Rows []model.PodVerdict `json:"rows"`
	// Next is the After of the next page; empty when this is the last.
	Next string `json:"next,omitempty"`
	// Refused counts pods of the namespaces read for this page that their inventories cannot hold: they are in no page.
	Refused int `json:"refused,omitempty"`
}

const (
	joinPage       = 500
	joinPageAtMost = 5000
	// joinAtOnce is how many inventories are asked at a time.
	joinAtOnce = 8
)

// position is where a page goes on: after a row of a namespace.
type position struct {
	Cluster   string `json:"c"`
	Namespace string `json:"n"`
	After     string `json:"a,omitempty"`
}

func (at position) String() string {
	text, err := json.Marshal(at)
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func parseCursor(cursor string) (position, error) {
	var at position
	if cursor == "" {
		return at, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		err = json.Unmarshal(text, &at)
	}
	if err != nil {
		return at, fmt.Errorf("%.80q: %w", cursor, ErrBadCursor)
	}
	return at, nil
}

// Join reads a page of pods with what is known of the images they run. A pod that is added or removed between two pages may
// be in none of them. An After that no page gave is ErrBadCursor.
func (p Pods) Join(ctx context.Context, f JoinFilter) (JoinPage, error) {
	from, err := parseCursor(f.After)
	if err != nil {
		return JoinPage{}, fmt.Errorf("read pods: %w", err)
	}
	limit := joinPage
	if f.Limit > 0 {
		limit = min(f.Limit, joinPageAtMost)
	}
	clusters, err := p.clustersOf(ctx, f, from)
	if err != nil {
		return JoinPage{}, fmt.Errorf("read pods: %w", err)
	}
	page := JoinPage{Rows: []model.PodVerdict{}}
	for _, cluster := range clusters {
		namespaces, err := p.namespacesOf(ctx, f, cluster, from)
		if err != nil {
			return JoinPage{}, fmt.Errorf("read pods: %w", err)
		}
		r := joinReader{link: p.link, filter: f, limit: limit, page: &page}
		if full, err := r.read(ctx, namespaces, from); err != nil || full {
			return page, err
		}
	}
	return page, nil
}

// clustersOf are the clusters that a page goes through.
func (p Pods) clustersOf(ctx context.Context, f JoinFilter, from position) ([]string, error) {
	all := []string{f.Cluster}
	if f.Cluster == "" {
		var err error
		if all, err = Clusters(p).List(ctx); err != nil {
			return nil, err
		}
	}
	if f.Cluster == "" {
		if err := Clusters(p).CheckAll(ctx, all); err != nil {
			return nil, err
		}
	}
	var rest []string
	for _, name := range all {
		if name >= from.Cluster {
			rest = append(rest, name)
		}
	}
	return rest, nil
}

// namespacesOf are the namespaces of a cluster that a page goes through. A cluster that was forgotten meanwhile has none; one
// that was asked for by its name is ErrUnknownCluster.
func (p Pods) namespacesOf(ctx context.Context, f JoinFilter, cluster string, from position) ([]workflows.NamespaceSeen, error) {
	view, err := Clusters(p).View(ctx, cluster)
	if f.Cluster == "" && errors.Is(err, ErrUnknownCluster) {
		return nil, nil
	}
	if errors.Is(err, ErrUnknownCluster) {
		return nil, errors.Join(Clusters(p).checkOne(ctx, cluster), err)
	}
	if err != nil {
		return nil, err
	}
	var rest []workflows.NamespaceSeen
	for _, seen := range view.Namespaces {
		if f.Namespace != "" && seen.Namespace != f.Namespace || cluster == from.Cluster && seen.Namespace < from.Namespace {
			continue
		}
		seen.Cluster = cluster
		rest = append(rest, seen)
	}
	return rest, nil
}

// joinReader fills one page.
type joinReader struct {
	link   link
	filter JoinFilter
	limit  int
	page   *JoinPage
}

// read goes through namespaces, asking some at a time, until the page is full.
func (r joinReader) read(ctx context.Context, namespaces []workflows.NamespaceSeen, from position) (full bool, err error) {
	for len(namespaces) > 0 {
		answers, err := r.askSome(ctx, r.some(namespaces), from)
		if err != nil {
			return false, fmt.Errorf("read pods: %w", err)
		}
		for _, answer := range answers {
			seen := namespaces[0]
			if r.add(seen, answer) {
				return true, nil
			}
			if answer.Next != "" {
				// The namespace has more than one answer holds: go on within it, and ask those behind it again.
				from = position{Cluster: seen.Cluster, Namespace: seen.Namespace, After: answer.Next}
				break
			}
			namespaces = namespaces[1:]
		}
	}
	return false, nil
}

// askSome reads one answer of each of some namespaces, in their order.
func (r joinReader) askSome(ctx context.Context, some []workflows.NamespaceSeen, from position) ([]workflows.JoinPage, error) {
	answers := make([]workflows.JoinPage, len(some))
	group, groupContext := errgroup.WithContext(ctx)
	for i, seen := range some {
		group.Go(func() error {
			after := ""
			if seen.Cluster == from.Cluster && seen.Namespace == from.Namespace {
				after = from.After
			}
			var err error
			answers[i], err = r.ask(groupContext, seen, after)
			return err
		})
	}
	return answers, group.Wait()
}

// some are the next namespaces to ask: not many more than can fill the page, by their last counts.
func (r joinReader) some(namespaces []workflows.NamespaceSeen) []workflows.NamespaceSeen {
	missing := r.limit - len(r.page.Rows)
	for i, seen := range namespaces[:min(len(namespaces), joinAtOnce)] {
		if missing -= seen.Pods; missing < 0 {
			return namespaces[:i+1]
		}
	}
	return namespaces[:min(len(namespaces), joinAtOnce)]
}

// ask reads one answer of an inventory. One that has ended has no rows.
func (r joinReader) ask(ctx context.Context, seen workflows.NamespaceSeen, after string) (workflows.JoinPage, error) {
	var answer workflows.JoinPage
	now := time.Now()
	err := r.link.queryOpen(ctx, workflows.InventoryID(seen.Cluster, seen.Namespace), workflows.QueryJoin, &answer, workflows.JoinQuery{
		Status: r.filter.Status, OverallStatus: r.filter.OverallStatus, Image: r.filter.Image, Workload: r.filter.Workload, Labels: r.filter.Labels,
		UIDs: r.filter.UIDs, Now: now, After: after, Limit: r.limit,
	})
	for n, row := range answer.Rows {
		answer.Rows[n] = row.At(now)
	}
	if isNotFound(err) && seen.Pods > 0 {
		return answer, fmt.Errorf("%w: the inventory of namespace %s in cluster %s is not running; its last count was %d pods", ErrStateUnknown,
			seen.Namespace, seen.Cluster, seen.Pods)
	}
	if isNotFound(err) {
		return workflows.JoinPage{}, nil
	}
	return answer, err
}

// add takes rows into the page and reports whether it is full.
func (r joinReader) add(seen workflows.NamespaceSeen, answer workflows.JoinPage) bool {
	room := r.limit - len(r.page.Rows)
	r.page.Refused += answer.Refused
	at := position{Cluster: seen.Cluster, Namespace: seen.Namespace, After: answer.Next}
	switch {
	case len(answer.Rows) > room && room == 0:
		at.After = ""
	case len(answer.Rows) > room:
		at.After = workflows.AfterRow(answer.Rows[room-1])
	case len(answer.Rows) < room || answer.Next == "":
		r.page.Rows = append(r.page.Rows, answer.Rows...)
		return false
	}
	r.page.Rows = append(r.page.Rows, answer.Rows[:room]...)
	r.page.Next = at.String()
	return true
}

// Rows reads the rows of some pods of a namespace, named by their UIDs. Pods that are not known have none. The step that
// writes verdicts onto pods uses it.
func (p Pods) Rows(ctx context.Context, cluster, namespace string, uids []string) ([]model.PodVerdict, error) {
	var rows []model.PodVerdict
	if len(uids) == 0 {
		return nil, nil
	}
	r := joinReader{link: p.link, filter: JoinFilter{UIDs: uids}}
	for after := ""; ; {
		answer, err := r.ask(ctx, workflows.NamespaceSeen{Cluster: cluster, Namespace: namespace}, after)
		if err != nil {
			return nil, fmt.Errorf("read pods: %w", err)
		}
		rows = append(rows, answer.Rows...)
		if after = answer.Next; after == "" {
			return rows, nil
		}
	}
}
