package rest

import (
	"net/url"
	"time"

	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
)

// What tests outside the package may see of it.

// ParseDocument reads a document and answers its components' keys.
func ParseDocument(raw []byte) ([]string, error) {
	found, err := judge.Parse(raw)
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, c := range found.Components {
		keys = append(keys, c.Key())
	}
	return keys, nil
}

// NotificationQuery is a parsed query in plain types.
type NotificationQuery struct {
	Limit, Offset int
	From, To      time.Time
	Types         int
}

// ParseNotificationQuery reads a query.
func ParseNotificationQuery(values url.Values) (NotificationQuery, error) {
	q, err := parseNotificationQuery(values)
	return NotificationQuery{q.limit, q.offset, q.from, q.to, len(q.types)}, err
}
