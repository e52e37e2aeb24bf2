package jobs

import (
	"encoding/json"
	"fmt"

	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
	"github.com/perceptor/perceptor/internal/hub/builtin/store"
)

// notify stores a notification in the transaction of what it reports.
func (c *core) notify(tx *store.Tx, n store.Notification) error {
	if n.At.IsZero() {
		n.At = c.Now()
	}
	return tx.Notifications().Add(n)
}

func versionNotification(kind store.NotificationType, p store.Project, v store.Version, operation string) store.Notification {
	return store.Notification{Type: kind, Operation: operation, Project: p.ID, ProjectName: p.Name, Version: v.ID, VersionName: v.Name}
}

// notifyComputed notifies that a scan is in the verdict. A scan without components makes no notification, as at the real hub.
func (c *core) notifyComputed(tx *store.Tx, s store.Scan, l store.CodeLocation) error {
	if s.Components == 0 || l.Version == "" {
		return nil
	}
	v, _, err := tx.Versions().Get(l.Version)
	if err != nil {
		return err
	}
	p, err := tx.Projects().Find(v.Project)
	if err != nil {
		return err
	}
	n := versionNotification(store.TypeComputed, p, v, "")
	n.CodeLocation, n.Scan, n.At = l.ID, s.ID, v.Summary.JudgedAt
	return c.notify(tx, n)
}

// notifyCoverage notifies of a verdict that changed although no component did: its status or what it rests on is another.
func (c *core) notifyCoverage(tx *store.Tx, v store.Version, news change) error {
	if !news.coverage || len(news.violated)+len(news.cleared)+len(news.overridden)+len(news.vulnerabilities) > 0 {
		return nil
	}
	p, err := tx.Projects().Find(v.Project)
	if err != nil {
		return err
	}
	n := versionNotification(store.TypeEdited, p, v, "")
	n.At = v.Summary.JudgedAt
	return c.notify(tx, n)
}

// notifyPolicy notifies which components of a version came into violation, left it, or are overridden now.
func (c *core) notifyPolicy(tx *store.Tx, v store.Version, news change) error {
	if len(news.violated)+len(news.cleared)+len(news.overridden) == 0 {
		return nil
	}
	p, err := tx.Projects().Find(v.Project)
	if err != nil {
		return err
	}
	report := func(kind store.NotificationType, components ...judge.Judged) error {
		n := versionNotification(kind, p, v, "")
		n.At = v.Summary.JudgedAt
		for _, one := range components {
			n.Components = append(n.Components, store.NotedComponent{Component: one.Component, ID: ComponentID(one.Component), Status: one.Status, Violations: one.Violations})
		}
		return c.notify(tx, n)
	}
	if len(news.cleared) > 0 {
		if err := report(store.TypeCleared, news.cleared...); err != nil {
			return err
		}
	}
	if len(news.violated) > 0 {
		if err := report(store.TypeViolation, news.violated...); err != nil {
			return err
		}
	}
	for _, one := range news.overridden {
		if err := report(store.TypeOverride, one); err != nil {
			return err
		}
	}
	return nil
}

// vulnerabilityNews gathers what became known of components over several versions: the same news of the same component is
// one store.Notification that names all of them.
type vulnerabilityNews struct {
	order []string
	news  map[string]*store.Notification
}

func (n *vulnerabilityNews) add(tx *store.Tx, v store.Version, c change) error {
	if len(c.vulnerabilities) == 0 {
		return nil
	}
	p, err := tx.Projects().Find(v.Project)
	if err != nil {
		return err
	}
	if n.news == nil {
		n.news = map[string]*store.Notification{}
	}
	for _, each := range c.vulnerabilities {
		one := store.Notification{
			Type: store.TypeVulnerability, Components: []store.NotedComponent{{Component: each.component.Component, ID: ComponentID(each.component.Component)}},
			Added: noted(each.added), Updated: noted(each.updated), Ended: noted(each.ended),
		}
		raw, err := json.Marshal(one)
		if err != nil {
			return fmt.Errorf("encode a notification: %w", err)
		}
		if n.news[string(raw)] == nil {
			n.news[string(raw)] = &one
			n.order = append(n.order, string(raw))
		}
		known := n.news[string(raw)]
		known.Affected = append(known.Affected, store.NotedVersion{Project: p.ID, ProjectName: p.Name, Version: v.ID, VersionName: v.Name})
		if v.Summary.JudgedAt.After(known.At) {
			known.At = v.Summary.JudgedAt
		}
	}
	return nil
}

func (n *vulnerabilityNews) publish(tx *store.Tx, c *core) error {
	for _, key := range n.order {
		if err := c.notify(tx, *n.news[key]); err != nil {
			return err
		}
	}
	return nil
}

func noted(matches []judge.Finding) []store.NotedVulnerability {
	var list []store.NotedVulnerability
	for _, m := range matches {
		list = append(list, store.NotedVulnerability{ID: m.ID, Severity: m.Severity, URL: m.URL})
	}
	return list
}
