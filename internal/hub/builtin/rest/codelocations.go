package rest

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/perceptor/perceptor/internal/hub/builtin/store"
)

// codeLocations answers /api/codelocations.
type codeLocations struct{ *Server }

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

func (c *call) viewLocation(tx *store.Tx, l store.CodeLocation) (locationView, error) {
	path := locationURL(l.ID)
	view := locationView{
		Name: l.Name, URL: "urn:uuid:" + l.ID, Type: "BOM_IMPORT", ScanSize: l.Size,
		CreatedAt: stamp(l.CreatedAt), UpdatedAt: stamp(l.UpdatedAt),
		Meta: c.metaOf(path, allowEdit, "scans", path+"/scan-summaries", "latest-scan", path+"/latest-scan-summary"),
	}
	if l.Version == "" {
		return view, nil
	}
	v, ok, err := tx.Versions().Get(l.Version)
	if err != nil || !ok {
		return view, err
	}
	view.MappedProjectVersion = c.base + versionURL(v)
	view.Meta.Links = append(view.Meta.Links, link{"components", c.base + versionURL(v) + "/components"}, link{"projectVersion", c.base + versionURL(v)})
	return view, nil
}

func (s codeLocations) list(c *call) (reply, error) {
	p, err := c.paging("name")
	if err != nil {
		return reply{}, err
	}
	list := page{Items: []any{}, AppliedFilters: []any{}, Meta: c.metaOf("/api/codelocations", allowGet)}
	err = s.store.View(func(tx *store.Tx) error {
		// The names alone are walked, so that a search over many thousands stays cheap.
		return tx.CodeLocations().EachName(func(name, id string) error {
			if !strings.Contains(name, p.query) {
				return nil
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

func (c *call) appendLocation(tx *store.Tx, list *page, id string) error {
	l, err := tx.CodeLocations().Find(id)
	if err != nil {
		return err
	}
	view, err := c.viewLocation(tx, l)
	list.Items = append(list.Items, view)
	return err
}

// listOf lists the code locations of a version.
func (s codeLocations) listOf(c *call) (reply, error) {
	p, err := c.paging("name")
	if err != nil {
		return reply{}, err
	}
	return s.viewOf(c, func(tx *store.Tx, v store.Version) (any, error) {
		list := page{Items: []any{}, AppliedFilters: []any{}, Meta: c.metaOf(versionURL(v)+"/codelocations", allowGet, "version", versionURL(v))}
		err := tx.Versions().EachCodeLocation(v.ID, func(id string) error {
			l, err := tx.CodeLocations().Find(id)
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
		return list, err
	})
}

func (s codeLocations) get(c *call) (reply, error) {
	var view locationView
	err := s.store.View(func(tx *store.Tx) error {
		l, err := tx.CodeLocations().Find(c.PathValue("location"))
		if err != nil {
			return err
		}
		view, err = c.viewLocation(tx, l)
		return err
	})
	return reply{status: http.StatusOK, body: view}, err
}

// move maps a code location to another version, or to none with an empty text; both versions are judged again.
func (s codeLocations) move(c *call) (reply, error) {
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
	err := s.store.Update(func(tx *store.Tx) error {
		l, err := tx.CodeLocations().Find(c.PathValue("location"))
		if err != nil {
			return err
		}
		target, err := versionByURL(tx, *body.Mapped)
		if err != nil {
			return err
		}
		if err := s.jobs.Catalog.MapLocation(tx, &l, target); err != nil {
			return err
		}
		view, err = c.viewLocation(tx, l)
		return err
	})
	return reply{status: http.StatusOK, body: view}, err
}

// versionByURL finds the version that a URL names; an empty text names none.
func versionByURL(tx *store.Tx, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	projectID, id, _ := strings.Cut(strings.TrimPrefix(pathOf(text), "/api/projects/"), "/versions/")
	v, ok, err := tx.Versions().Get(id)
	if err == nil && (!ok || v.Project != projectID) {
		err = refuse(http.StatusBadRequest, "mapping", "%.200q is not the URL of a project version of this hub", text)
	}
	return id, err
}

// pathOf takes the path out of a URL that names one of the hub's objects.
func pathOf(text string) string {
	parsed, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return parsed.Path
}

// delete deletes a code location with its scans; the version that it was mapped to is judged again.
func (s codeLocations) delete(c *call) (reply, error) {
	return reply{status: http.StatusNoContent}, s.jobs.Catalog.DeleteLocation(c.PathValue("location"))
}
