package builtin

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
)

// notificationTypes are all that can be filtered for, also those this hub never makes.
var notificationTypes = []notificationType{
	typeVulnerability, typeViolation, typeCleared, typeOverride, typeComputed, typeProject, typeVersion,
	"BOM_EDIT", "LICENSE_LIMIT", "COMPONENT_UNKNOWN_VERSION",
}

// notificationQuery is what a client wants to be told.
type notificationQuery struct {
	paging
	// from and to are both part of the span; zero means from the first, to the last.
	from, to time.Time
	types    []notificationType
}

// parseNotificationQuery reads startDate, endDate, limit, offset and repeated filter=notificationType:X.
func parseNotificationQuery(values url.Values) (notificationQuery, error) {
	var q notificationQuery
	var err error
	if q.paging, err = parsePaging(values, "type"); err != nil {
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
		kind := notificationType(strings.ToUpper(value))
		if !slices.Contains(notificationTypes, kind) {
			return q, refuse(http.StatusBadRequest, "filter", "%.80q is none of the types %v", value, notificationTypes)
		}
		q.types = append(q.types, kind)
	}
	return q, nil
}

func (q notificationQuery) wants(kind notificationType) bool {
	return (len(q.types) == 0 || slices.Contains(q.types, kind)) && q.matches(string(kind))
}

// walk visits the notifications of the span, newest first, without decoding those that are not on the page.
func (q notificationQuery) walk(tx *bbolt.Tx, visit func(notification) error) (total int, err error) {
	first, cursor := []byte(nil), tx.Bucket([]byte(notificationBucket)).Cursor()
	if !q.from.IsZero() {
		// A start between two milliseconds excludes the earlier one.
		first = []byte(timeKey(q.from.Add(time.Millisecond - 1).Truncate(time.Millisecond)))
	}
	key, raw := cursor.Last()
	if !q.to.IsZero() {
		if after, _ := cursor.Seek([]byte(timeKey(q.to.Add(time.Millisecond)))); after != nil {
			key, raw = cursor.Prev()
		} else {
			key, raw = cursor.Last()
		}
	}
	for ; key != nil && string(key) >= string(first); key, raw = cursor.Prev() {
		if !q.wants(notificationType(key[16:])) {
			continue
		}
		if q.takes(total) {
			n, err := decodeNotification(key, raw)
			if err != nil {
				return total, err
			}
			if err := visit(n); err != nil {
				return total, err
			}
		}
		total++
	}
	return total, nil
}

func decodeNotification(key, raw []byte) (notification, error) {
	var n notification
	if err := json.Unmarshal(raw, &n); err != nil {
		return n, fmt.Errorf("read notification: %w", err)
	}
	n.id = uuid.UUID(key[:16])
	n.at = time.UnixMilli(int64(binary.BigEndian.Uint64(key[:8]))).UTC() //nolint:gosec // timeKey wrote it from an int64
	return n, nil
}

type notificationView struct {
	Type        notificationType `json:"type"`
	ContentType string           `json:"contentType"`
	CreatedAt   stamp            `json:"createdAt"`
	Content     any              `json:"content"`
	Meta        meta             `json:"_meta"`
}

func (c *call) viewNotification(n notification) notificationView {
	return notificationView{
		Type: n.Type, ContentType: "application/json", CreatedAt: stamp(n.at), Content: c.contentOf(n),
		Meta: c.metaOf("/api/notifications/"+n.id.String(), allowGet),
	}
}

func (h *Hub) listNotifications(c *call) (reply, error) {
	q, err := parseNotificationQuery(c.URL.Query())
	if err != nil {
		return reply{}, err
	}
	list := page{Items: []any{}, AppliedFilters: []any{}, Meta: c.metaOf("/api/notifications", allowGet)}
	for _, kind := range q.types {
		list.AppliedFilters = append(list.AppliedFilters, map[string]any{"name": "notificationType", "value": kind})
	}
	err = h.db.View(func(tx *bbolt.Tx) (err error) {
		list.TotalCount, err = q.walk(tx, func(n notification) error {
			list.Items = append(list.Items, c.viewNotification(n))
			return nil
		})
		return err
	})
	return reply{status: http.StatusOK, body: list}, err
}

func (h *Hub) getNotification(c *call) (reply, error) {
	text := c.PathValue("notification")
	id, err := uuid.Parse(text)
	if err != nil {
		return reply{}, notFound("notification", text)
	}
	var view notificationView
	err = h.db.View(func(tx *bbolt.Tx) error {
		key, raw := tx.Bucket([]byte(notificationBucket)).Cursor().Seek(id[:])
		if len(key) < len(id) || uuid.UUID(key[:16]) != id {
			return notFound("notification", text)
		}
		n, err := decodeNotification(key, raw)
		view = c.viewNotification(n)
		return err
	})
	return reply{status: http.StatusOK, body: view}, err
}
