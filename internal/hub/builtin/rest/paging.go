package rest

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const (
	// defaultLimit is the page size clients of this API use when nothing is said.
	defaultLimit = 100
	// maxLimit is the largest page. A larger limit is cut to it without a word, as the real hub does since 2022.2.0.
	maxLimit = 1000
	// maxLimitOld is that of the old generation. Its clients ask for 2,000,000 at once, and read no second page.
	maxLimitOld = 2_000_000
)

// paging is the part of a list that is asked for.
type paging struct {
	limit, offset int
	// query is the text of q in lower case: only objects whose name contains it are listed.
	query string
}

// page is how every list is answered.
type page struct {
	TotalCount     int   `json:"totalCount"`
	Items          []any `json:"items"`
	AppliedFilters []any `json:"appliedFilters"`
	Meta           meta  `json:"_meta"`
}

// paging reads limit, offset and q=<field>:<text> for the one field that can be searched.
func (c *call) paging(field string) (paging, error) {
	return parsePaging(c.URL.Query(), field, c.largestPage)
}

// parsePaging is paging with the largest page.
func parsePaging(values url.Values, field string, most int) (paging, error) {
	p := paging{limit: defaultLimit}
	var err error
	if p.limit, err = number(values, "limit", defaultLimit); err != nil {
		return p, err
	}
	if p.offset, err = number(values, "offset", 0); err != nil {
		return p, err
	}
	p.limit = min(p.limit, most)
	if q := values.Get("q"); q != "" {
		name, text, found := strings.Cut(q, ":")
		if !found || !strings.EqualFold(name, field) {
			return p, refuse(http.StatusBadRequest, "query", "q=%.80q cannot be searched here: write q=%s:<text>", q, field)
		}
		p.query = strings.ToLower(text)
	}
	return p, nil
}

func number(values url.Values, name string, otherwise int) (int, error) {
	text := values.Get(name)
	if text == "" {
		return otherwise, nil
	}
	// A limit above any list is cut, so a number too large for int is as good as the largest.
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil && !strings.Contains(err.Error(), strconv.ErrRange.Error()) {
		return 0, refuse(http.StatusBadRequest, "paging", "%s=%.40q is not a number of 0 or more", name, text)
	}
	return int(n), nil
}

// takes tells whether the n-th hit, from 0, is on the page.
func (p paging) takes(n int) bool { return n >= p.offset && n-p.offset < p.limit }

// matches tells whether a name is searched for.
func (p paging) matches(name string) bool {
	return p.query == "" || strings.Contains(strings.ToLower(name), p.query)
}

// cut returns the part of a list that is on the page.
func cut[T any](p paging, list []T) []T {
	if p.offset >= len(list) {
		return nil
	}
	return list[p.offset:min(len(list), p.offset+p.limit)]
}
