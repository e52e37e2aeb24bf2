package rest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/perceptor/perceptor/internal/hub/builtin/store"
)

// notifications answers /api/notifications.
type notifications struct{ *Server }

// notificationTypes are all that can be filtered for, also those this hub never makes.
var notificationTypes = []store.NotificationType{
	store.TypeVulnerability, store.TypeViolation, store.TypeCleared, store.TypeOverride, store.TypeComputed, store.TypeEdited, store.TypeProject, store.TypeVersion,
	"LICENSE_LIMIT", "COMPONENT_UNKNOWN_VERSION",
}

// notificationQuery is what a client asks for.
type notificationQuery struct {
	paging
	// from and to are both part of the span; zero means from the first, to the last.
	from, to time.Time
	types    []store.NotificationType
}

// parseNotificationQuery reads startDate, endDate, limit, offset and repeated filter=notificationType:X.
func parseNotificationQuery(values url.Values) (notificationQuery, error) {
	var q notificationQuery
	var err error
	if q.paging, err = parsePaging(values, "type", maxLimit); err != nil {
		return q, err
	}
	for name, into := range map[string]*time.Time{"startDate": &q.from, "endDate": &q.to} {
		text := values.Get(name)
		if text == "" {
			continue
		}
		if *into, err = parseStamp(text); err != nil {
			return q, refuse(http.StatusBadRequest, "date", "%s: %v", name, err)
		}
	}
	if !q.from.IsZero() && !q.to.IsZero() && q.to.Before(q.from) {
		return q, refuse(http.StatusBadRequest, "date", "endDate is before startDate")
	}
	for _, filter := range values["filter"] {
		key, value, _ := strings.Cut(filter, ":")
		if !strings.EqualFold(key, "notificationType") {
			return q, refuse(http.StatusBadRequest, "filter", "filter=%.80q is not known here: write filter=notificationType:<type>", filter)
		}
		kind := store.NotificationType(strings.ToUpper(value))
		if !slices.Contains(notificationTypes, kind) {
			return q, refuse(http.StatusBadRequest, "filter", "%.80q is none of the types %v", value, notificationTypes)
		}
		q.types = append(q.types, kind)
	}
	return q, nil
}

func (q notificationQuery) wants(kind store.NotificationType) bool {
	return (len(q.types) == 0 || slices.Contains(q.types, kind)) && q.matches(string(kind))
}

// walk visits the notifications of the span, newest first, without decoding those that are not on the page.
func (q notificationQuery) walk(tx *store.Tx, visit func(store.Notification)) (total int, err error) {
	err = tx.Notifications().Walk(q.from, q.to, func(kind store.NotificationType, decode func() (store.Notification, error)) error {
		if !q.wants(kind) {
			return nil
		}
		if q.takes(total) {
			n, err := decode()
			if err != nil {
				return err
			}
			visit(n)
		}
		total++
		return nil
	})
	return total, err
}

type notificationView struct {
	Type        store.NotificationType `json:"type"`
	ContentType string                 `json:"contentType"`
	CreatedAt   stamp                  `json:"createdAt"`
	Content     any                    `json:"content"`
	Meta        meta                   `json:"_meta"`
}

func (c *call) viewNotification(n store.Notification) notificationView {
	return notificationView{
		Type: n.Type, ContentType: "application/json", CreatedAt: stamp(n.At), Content: c.contentOf(n),
		Meta: c.metaOf("/api/notifications/"+n.Key.String(), allowGet),
	}
}

func (s notifications) list(c *call) (reply, error) {
	q, err := parseNotificationQuery(c.URL.Query())
	if err != nil {
		return reply{}, err
	}
	list := page{Items: []any{}, AppliedFilters: []any{}, Meta: c.metaOf("/api/notifications", allowGet)}
	for _, kind := range q.types {
		list.AppliedFilters = append(list.AppliedFilters, map[string]any{"name": "notificationType", "value": kind})
	}
	err = s.store.View(func(tx *store.Tx) (err error) {
		list.TotalCount, err = q.walk(tx, func(n store.Notification) { list.Items = append(list.Items, c.viewNotification(n)) })
		return err
	})
	return reply{status: http.StatusOK, body: list}, err
}

func (s notifications) get(c *call) (reply, error) {
	text := c.PathValue("notification")
	id, err := uuid.Parse(text)
	if err != nil {
		return reply{}, &store.NotFoundError{What: "notification", ID: text}
	}
	var view notificationView
	err = s.store.View(func(tx *store.Tx) error {
		n, err := tx.Notifications().Find(id)
		view = c.viewNotification(n)
		return err
	})
	return reply{status: http.StatusOK, body: view}, err
}

// contentOf is what a notification says, in the fields that its type has.
func (c *call) contentOf(n store.Notification) any {
	switch n.Type {
	case store.TypeVulnerability:
		return c.vulnerabilityContent(n)
	case store.TypeViolation, store.TypeCleared:
		return c.ruleContent(n)
	case store.TypeOverride:
		return c.overrideContent(n)
	case store.TypeComputed:
		return map[string]any{
			"projectVersion": c.versionLink(n.Project, n.Version), "codeLocation": c.base + locationURL(n.CodeLocation),
			"scanSummary": c.base + scanURL(n.Scan),
		}
	case store.TypeEdited:
		return map[string]any{
			"projectVersion": c.versionLink(n.Project, n.Version), "projectName": n.ProjectName, "projectVersionName": n.VersionName,
		}
	case store.TypeProject:
		return map[string]any{"operationType": n.Operation, "project": c.base + projectURL(n.Project), "projectName": n.ProjectName}
	case store.TypeVersion:
		return map[string]any{
			"operationType": n.Operation, "project": c.base + projectURL(n.Project), "projectName": n.ProjectName,
			"projectVersion": c.versionLink(n.Project, n.Version), "projectVersionName": n.VersionName,
		}
	}
	return map[string]any{}
}

func (c *call) versionLink(projectID, versionID string) string {
	return c.base + versionURL(store.Version{ID: versionID, Project: projectID})
}

func bomComponentPath(v store.Version, componentID string) string {
	return versionURL(v) + "/components/" + componentID + "/versions/" + componentID
}

func (c *call) vulnerabilityContent(n store.Notification) any {
	content := map[string]any{
		"newVulnerabilityCount": len(n.Added), "newVulnerabilityIds": vulnerabilityIDs(n.Added),
		"updatedVulnerabilityCount": len(n.Updated), "updatedVulnerabilityIds": vulnerabilityIDs(n.Updated),
		"deletedVulnerabilityCount": len(n.Ended), "deletedVulnerabilityIds": vulnerabilityIDs(n.Ended),
	}
	id := ""
	for _, one := range n.Components {
		id = one.ID
		content["componentName"], content["versionName"] = one.Name, one.Version
		content["componentVersionOriginName"], content["componentVersionOriginId"] = purlType(one.PURL), one.PURL
	}
	affected := make([]any, 0, len(n.Affected))
	for _, v := range n.Affected {
		at := store.Version{ID: v.Version, Project: v.Project}
		component := c.base + bomComponentPath(at, id)
		content["componentVersion"] = component
		affected = append(affected, map[string]any{
			"projectName": v.ProjectName, "projectVersionName": v.VersionName, "projectVersion": c.base + versionURL(at), "bomComponent": component,
		})
	}
	content["affectedProjectVersions"] = affected
	return content
}

func vulnerabilityIDs(list []store.NotedVulnerability) []any {
	ids := make([]any, 0, len(list))
	for _, v := range list {
		ids = append(ids, map[string]any{
			"source": vulnerabilitySource(v.ID), "vulnerabilityId": v.ID, "vulnerability": v.URL, "severity": string(v.Severity),
		})
	}
	return ids
}

func (c *call) ruleContent(n store.Notification) any {
	at := store.Version{ID: n.Version, Project: n.Project}
	statuses, infos, seen := []any{}, []any{}, map[string]bool{}
	for _, one := range n.Components {
		component, policies := c.base+bomComponentPath(at, one.ID), []string{}
		for _, v := range one.Violations {
			rule := c.base + ruleURL(v.Rule)
			policies = append(policies, rule)
			if !seen[v.Rule] {
				seen[v.Rule] = true
				infos = append(infos, map[string]any{"policyName": v.Rule, "policy": rule, "severity": v.Severity})
			}
		}
		statuses = append(statuses, map[string]any{
			"componentName": one.Name, "componentVersionName": one.Version, "component": component, "componentVersion": component,
			"bomComponent": component, "bomComponentVersionPolicyStatus": component + "/policy-status", "policies": policies,
		})
	}
	field := "componentVersionsInViolation"
	if n.Type == store.TypeCleared {
		field = "componentVersionsCleared"
	}
	return map[string]any{
		"projectName": n.ProjectName, "projectVersionName": n.VersionName, "projectVersion": c.base + versionURL(at),
		field: len(n.Components), "componentVersionStatuses": statuses, "policyInfos": infos,
	}
}

func (c *call) overrideContent(n store.Notification) any {
	at := store.Version{ID: n.Version, Project: n.Project}
	content := map[string]any{
		"projectName": n.ProjectName, "projectVersionName": n.VersionName, "projectVersion": c.base + versionURL(at),
		"firstName": "policy", "lastName": "file", "policies": []any{}, "policyInfos": []any{},
	}
	for _, one := range n.Components {
		component := c.base + bomComponentPath(at, one.ID)
		content["componentName"], content["componentVersionName"] = one.Name, one.Version
		content["component"], content["componentVersion"], content["bomComponent"] = component, component, component
		content["bomComponentVersionPolicyStatus"] = fmt.Sprintf("%s/policy-status", component)
	}
	return content
}
