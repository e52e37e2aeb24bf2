package builtin

import (
	"net/http"
	"strings"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
)

type locationView struct {
	Name      string `json:"name"`
	URL       string `json:"url"`
	Type      string `json:"type"`
	ScanSize  int64  `json:"scanSize"`
	CreatedAt stamp  `json:"createdAt"`
	UpdatedAt stamp  `json:"updatedAt"`
	// MappedProjectVersion is absent when the code location belongs to no version.
	MappedProjectVersion string `json:"mappedProjectVersion,omitempty"`
	Meta                 meta   `json:"_meta"`
}

func locationURL(id string) string { return "/api/codelocations/" + id }

func (c *call) viewLocation(tx *bbolt.Tx, l codeLocation) (locationView, error) {
	path := locationURL(l.ID)
	view := locationView{
		Name: l.Name, URL: "urn:uuid:" + l.ID, Type: "BOM_IMPORT", ScanSize: l.Size,
		CreatedAt: stamp(l.CreatedAt), UpdatedAt: stamp(l.UpdatedAt),
		Meta: c.metaOf(path, allowEdit, "scans", path+"/scan-summaries"),
	}
	if !c.old {
		view.Meta.Links = append(view.Meta.Links, link{"latest-scan", c.base + path + "/latest-scan-summary"})
	}
	if l.Version == "" {
		return view, nil
	}
	v, ok, err := read[version](tx, versionBucket, l.Version)
	if err != nil || !ok {
		return view, err
	}
	view.MappedProjectVersion = c.base + v.path()
	view.Meta.Links = append(view.Meta.Links, link{"components", c.base + v.path() + "/components"}, link{"projectVersion", c.base + v.path()})
	return view, nil
}

// ensureLocation finds a code location by name, without regard to case, or makes it.
func (h *Hub) ensureLocation(tx *bbolt.Tx, name string) (codeLocation, error) {
	if id := tx.Bucket([]byte(locationNameBucket)).Get([]byte(strings.ToLower(name))); id != nil {
		return findLocation(tx, string(id))
	}
	now := h.now()
	l := codeLocation{ID: uuid.NewString(), Name: name, CreatedAt: now, UpdatedAt: now}
	if err := writeRaw(tx, locationNameBucket, strings.ToLower(name), []byte(l.ID)); err != nil {
		return l, err
	}
	return l, write(tx, locationBucket, l.ID, l)
}

func findLocation(tx *bbolt.Tx, id string) (codeLocation, error) {
	l, ok, err := read[codeLocation](tx, locationBucket, id)
	if err == nil && !ok {
		err = notFound("code location", id)
	}
	return l, err
}

// setMapping moves a code location to a version, or to none. Verdicts are the caller's business.
func (h *Hub) setMapping(tx *bbolt.Tx, l *codeLocation, versionID string) error {
	if l.Version != "" {
		if err := remove(tx, versionLocations, joinKey(l.Version, l.ID)); err != nil {
			return err
		}
	}
	if versionID != "" {
		if err := writeRaw(tx, versionLocations, joinKey(versionID, l.ID), nil); err != nil {
			return err
		}
	}
	l.Version, l.UpdatedAt = versionID, h.now()
	return write(tx, locationBucket, l.ID, *l)
}

func (h *Hub) listLocations(c *call) (reply, error) {
	p, err := parsePaging(c.URL.Query(), "name")
	if err != nil {
		return reply{}, err
	}
	list := page{Items: []any{}, AppliedFilters: []any{}, Meta: c.metaOf("/api/codelocations", allowGet)}
	err = h.db.View(func(tx *bbolt.Tx) error {
		// The names alone are walked, so that a search over many thousands stays cheap.
		return tx.Bucket([]byte(locationNameBucket)).ForEach(func(name, id []byte) error {
			if !strings.Contains(string(name), p.query) {
				return nil
			}
			if p.takes(list.TotalCount) {
				if err := c.appendLocation(tx, &list, string(id)); err != nil {
					return err
				}
			}
			list.TotalCount++
			return nil
		})
	})
	return reply{status: http.StatusOK, body: list}, err
}

func (c *call) appendLocation(tx *bbolt.Tx, list *page, id string) error {
	l, err := findLocation(tx, id)
	if err != nil {
		return err
	}
	view, err := c.viewLocation(tx, l)
	list.Items = append(list.Items, view)
	return err
}

func (h *Hub) listVersionLocations(c *call) (reply, error) {
	p, err := parsePaging(c.URL.Query(), "name")
	if err != nil {
		return reply{}, err
	}
	list := page{Items: []any{}, AppliedFilters: []any{}}
	err = h.db.View(func(tx *bbolt.Tx) error {
		v, err := findVersion(tx, c)
		if err != nil {
			return err
		}
		list.Meta = c.metaOf(v.path()+"/codelocations", allowGet, "version", v.path())
		return eachUnder(tx, versionLocations, v.ID, func(id, _ string) error {
			l, err := findLocation(tx, id)
			if err != nil || !p.matches(l.Name) {
				return err
			}
			if p.takes(list.TotalCount) {
				if err := c.appendLocation(tx, &list, id); err != nil {
					return err
				}
			}
			list.TotalCount++
			return nil
		})
	})
	return reply{status: http.StatusOK, body: list}, err
}

func (h *Hub) getLocation(c *call) (reply, error) {
	var view locationView
	err := h.db.View(func(tx *bbolt.Tx) error {
		l, err := findLocation(tx, c.PathValue("location"))
		if err != nil {
			return err
		}
		view, err = c.viewLocation(tx, l)
		return err
	})
	return reply{status: http.StatusOK, body: view}, err
}

// mapLocation moves a code location to another version, or to none with an empty text; both versions are judged anew.
func (h *Hub) mapLocation(c *call) (reply, error) {
	var body struct {
		Mapped *string `json:"mappedProjectVersion"`
	}
	if err := c.decode(&body); err != nil {
		return reply{}, err
	}
	if body.Mapped == nil {
		return reply{}, refuse(http.StatusBadRequest, "mapping", "mappedProjectVersion is missing: give the URL of a project version, or an empty text to unmap")
	}
	var view locationView
	err := h.db.Update(func(tx *bbolt.Tx) error {
		l, err := findLocation(tx, c.PathValue("location"))
		if err != nil {
			return err
		}
		target, err := versionByURL(tx, *body.Mapped)
		if err != nil {
			return err
		}
		left := l.Version
		if err := h.setMapping(tx, &l, target); err != nil {
			return err
		}
		if err := h.rejudge(tx, left, target); err != nil {
			return err
		}
		view, err = c.viewLocation(tx, l)
		return err
	})
	return reply{status: http.StatusOK, body: view}, err
}

// versionByURL finds the version that a URL names; an empty text names none.
func versionByURL(tx *bbolt.Tx, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	projectID, id, _ := strings.Cut(strings.TrimPrefix(pathOf(text), "/api/projects/"), "/versions/")
	v, ok, err := read[version](tx, versionBucket, id)
	if err == nil && (!ok || v.Project != projectID) {
		err = refuse(http.StatusBadRequest, "mapping", "%.200q is not the URL of a project version of this hub", text)
	}
	return id, err
}

// deleteLocation deletes a code location with its scans; the version it was mapped to is judged anew.
func (h *Hub) deleteLocation(c *call) (reply, error) {
	err := h.db.Update(func(tx *bbolt.Tx) error {
		l, err := findLocation(tx, c.PathValue("location"))
		if err != nil {
			return err
		}
		if err := h.cancelScans(tx, l.ID, "", "the code location was deleted while the scan ran"); err != nil {
			return err
		}
		if err := dropScans(tx, l.ID, 0); err != nil {
			return err
		}
		return h.dropLocation(tx, l)
	})
	return reply{status: http.StatusNoContent}, err
}

// dropLocation deletes a code location that has no scans left.
func (h *Hub) dropLocation(tx *bbolt.Tx, l codeLocation) error {
	left := l.Version
	if err := h.setMapping(tx, &l, ""); err != nil {
		return err
	}
	for bucket, key := range map[string]string{locationBucket: l.ID, locationNameBucket: strings.ToLower(l.Name), contentsBucket: l.ID} {
		if err := remove(tx, bucket, key); err != nil {
			return err
		}
	}
	return h.rejudge(tx, left)
}
