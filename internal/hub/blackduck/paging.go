package blackduck

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
)

const (
	// pageSize is the largest page hubs give since 2022.2; more is cut without a word.
	pageSize = 1000
	// mostPages ends a list that never ends: a million rows.
	mostPages = 1000
)

// page is one answer of a list.
type page[T any, P checked[T]] struct {
	TotalCount *int `json:"totalCount"`
	Items      *[]T `json:"items"`
}

func (p *page[T, P]) check() error {
	switch {
	case p.TotalCount == nil || *p.TotalCount < 0:
		return errors.New("no totalCount")
	case p.Items == nil:
		return errors.New("no items")
	}
	for i := range *p.Items {
		if err := P(&(*p.Items)[i]).check(); err != nil {
			return fmt.Errorf("item %d: %w", i, err)
		}
	}
	return nil
}

// getPage asks for one page. The caller's query is left as it is.
func getPage[T any, P checked[T]](ctx context.Context, c *Client, k call, offset, limit int) (page[T, P], reply, error) {
	query := url.Values{}
	maps.Copy(query, k.query)
	query.Set("limit", strconv.Itoa(limit))
	query.Set("offset", strconv.Itoa(offset))
	k.query = query
	return get[page[T, P]](ctx, c, k)
}

// getAll asks for every page and gives all rows, and the first reply. It goes on by what it got, not by what it asked
// for: a hub may cut pages shorter. An empty page before the end is an error, since the missing rows would be unseen.
func getAll[T any, P checked[T]](ctx context.Context, c *Client, k call) ([]T, reply, error) {
	var rows []T
	var first reply
	for range mostPages {
		p, answer, err := getPage[T, P](ctx, c, k, len(rows), pageSize)
		if err != nil {
			return nil, reply{}, err
		}
		if rows == nil {
			first = answer
		}
		rows = append(rows, *p.Items...)
		switch {
		case len(rows) >= *p.TotalCount:
			return rows, first, nil
		case len(*p.Items) == 0:
			err := trouble(symptomPages, fmt.Errorf("%d of %d rows", len(rows), *p.TotalCount))
			return nil, reply{}, c.wrap(k.op, k.method, k.at, err)
		}
	}
	return nil, reply{}, c.wrap(k.op, k.method, k.at, trouble(symptomPages, fmt.Errorf("more than %d pages", mostPages)))
}

// get fetches one object.
func get[T any, P checked[T]](ctx context.Context, c *Client, k call) (T, reply, error) {
	k.method = http.MethodGet
	answer, err := c.fetch(ctx, k)
	if err != nil {
		var none T
		return none, reply{}, err
	}
	value, err := decodeReply[T, P](answer)
	return value, answer, c.wrap(k.op, k.method, k.at, err)
}
