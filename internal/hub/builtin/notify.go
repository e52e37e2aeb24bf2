package builtin

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"github.com/perceptor/perceptor/model"
)

type notificationType string

// The notifications this hub makes.
const (
	typeVulnerability notificationType = "VULNERABILITY"
	typeViolation     notificationType = "RULE_VIOLATION"
	typeCleared       notificationType = "RULE_VIOLATION_CLEARED"
	typeOverride      notificationType = "POLICY_OVERRIDE"
	typeComputed      notificationType = "VERSION_BOM_CODE_LOCATION_BOM_COMPUTED"
	typeProject       notificationType = "PROJECT"
	typeVersion       notificationType = "PROJECT_VERSION"
)

// notification is what happened, as it is stored: with ids, since URLs depend on who asks.
type notification struct {
	Type        notificationType `json:"type"`
	Operation   string           `json:"operation,omitempty"`
	Project     string           `json:"project,omitempty"`
	ProjectName string           `json:"projectName,omitempty"`
	Version     string           `json:"version,omitempty"`
	VersionName string           `json:"versionName,omitempty"`
	// CodeLocation and Scan are those of a computed bill of materials.
	CodeLocation string `json:"codeLocation,omitempty"`
	Scan         string `json:"scan,omitempty"`
	// Components are those whose policy status changed; of a vulnerability notification, the one that has it.
	Components []notedComponent     `json:"components,omitempty"`
	Added      []notedVulnerability `json:"added,omitempty"`
	Updated    []notedVulnerability `json:"updated,omitempty"`
	Ended      []notedVulnerability `json:"ended,omitempty"`
	// Affected are the versions that hold the component.
	Affected []notedVersion `json:"affected,omitempty"`

	// id and at are its key in the file. What tells of a verdict has the verdict's own time, so that a client that has
	// read this verdict knows that it has missed nothing.
	id uuid.UUID
	at time.Time
}

type notedVersion struct {
	Project     string `json:"project"`
	ProjectName string `json:"projectName"`
	Version     string `json:"version"`
	VersionName string `json:"versionName"`
}

type notedComponent struct {
	component
	ID         string              `json:"id"`
	Status     model.OverallStatus `json:"status"`
	Violations []violation         `json:"violations,omitempty"`
}

type notedVulnerability struct {
	ID       string         `json:"id"`
	Severity model.Severity `json:"severity"`
	URL      string         `json:"url,omitempty"`
}

// notify stores a notification in the transaction of what it tells. The key orders by time and, within a millisecond, by
// a number, so that no two are ever mistaken for each other.
func (h *Hub) notify(tx *bbolt.Tx, n notification) error {
	bucket := tx.Bucket([]byte(notificationBucket))
	seq, err := bucket.NextSequence()
	if err != nil {
		return fmt.Errorf("number a notification: %w", err)
	}
	raw, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("encode a notification: %w", err)
	}
	if n.at.IsZero() {
		n.at = h.now()
	}
	key := timeKey(n.at) + sequenceKey(seq) + string(n.Type)
	return writeRaw(tx, notificationBucket, key, raw)
}

// timeKey orders times from 1970 on as bytes.
func timeKey(at time.Time) string {
	return sequenceKey(uint64(max(0, at.UnixMilli())))
}

func versionNotification(kind notificationType, p project, v version, operation string) notification {
	return notification{Type: kind, Operation: operation, Project: p.ID, ProjectName: p.Name, Version: v.ID, VersionName: v.Name}
}

// notifyComputed tells that a scan is in the verdict. A scan without components tells nothing, as at the real hub.
func (h *Hub) notifyComputed(tx *bbolt.Tx, s scan, l codeLocation) error {
	if s.Components == 0 || l.Version == "" {
		return nil
	}
	v, _, err := read[version](tx, versionBucket, l.Version)
	if err != nil {
		return err
	}
	p, err := findProject(tx, v.Project)
	if err != nil {
		return err
	}
	n := versionNotification(typeComputed, p, v, "")
	n.CodeLocation, n.Scan, n.at = l.ID, s.ID, v.Summary.JudgedAt
	return h.notify(tx, n)
}

// notifyPolicy tells which components of a version came into violation, left it, or are overridden now.
func (h *Hub) notifyPolicy(tx *bbolt.Tx, v version, c change) error {
	if len(c.violated)+len(c.cleared)+len(c.overridden) == 0 {
		return nil
	}
	p, err := findProject(tx, v.Project)
	if err != nil {
		return err
	}
	tell := func(kind notificationType, components ...judged) error {
		n := versionNotification(kind, p, v, "")
		n.at = v.Summary.JudgedAt
		for _, one := range components {
			n.Components = append(n.Components, notedComponent{one.component, one.ID, one.Status, one.Violations})
		}
		return h.notify(tx, n)
	}
	if len(c.cleared) > 0 {
		if err := tell(typeCleared, c.cleared...); err != nil {
			return err
		}
	}
	if len(c.violated) > 0 {
		if err := tell(typeViolation, c.violated...); err != nil {
			return err
		}
	}
	for _, one := range c.overridden {
		if err := tell(typeOverride, one); err != nil {
			return err
		}
	}
	return nil
}

// policy sorts a component by what its policy status changed to. One whose violation was overridden is told as that, not
// as cleared.
func (c *change) policy(before, after judged) {
	was, is := before.Status, after.Status
	switch {
	case is == was:
	case is == model.InViolation:
		c.violated = append(c.violated, after)
	case is == model.InViolationOverridden:
		c.overridden = append(c.overridden, after)
	case was == model.InViolation || was == model.InViolationOverridden:
		after.Violations = before.Violations // the rules it no longer breaks are what is told
		after.Status = model.NotInViolation
		c.cleared = append(c.cleared, after)
	}
}

// vulnerabilityNews gathers what became known of components over several versions: the same news of the same component is
// one notification that names all of them.
type vulnerabilityNews struct {
	order []string
	news  map[string]*notification
}

func (n *vulnerabilityNews) add(tx *bbolt.Tx, v version, c change) error {
	if len(c.vulnerabilities) == 0 {
		return nil
	}
	p, err := findProject(tx, v.Project)
	if err != nil {
		return err
	}
	if n.news == nil {
		n.news = map[string]*notification{}
	}
	for _, each := range c.vulnerabilities {
		one := notification{
			Type: typeVulnerability, Components: []notedComponent{{component: each.component.component, ID: each.component.ID}},
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
		known.Affected = append(known.Affected, notedVersion{p.ID, p.Name, v.ID, v.Name})
		if v.Summary.JudgedAt.After(known.at) {
			known.at = v.Summary.JudgedAt
		}
	}
	return nil
}

func (n *vulnerabilityNews) publish(tx *bbolt.Tx, h *Hub) error {
	for _, key := range n.order {
		if err := h.notify(tx, *n.news[key]); err != nil {
			return err
		}
	}
	return nil
}

func noted(matches []Match) []notedVulnerability {
	var list []notedVulnerability
	for _, m := range matches {
		list = append(list, notedVulnerability{m.ID, m.Severity, m.URL})
	}
	return list
}
