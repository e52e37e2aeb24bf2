package rest

import (
	"net/http"

	"github.com/perceptor/perceptor/internal/hub/builtin/jobs"
	"github.com/perceptor/perceptor/internal/hub/builtin/store"
)

// projects answers /api/projects.
type projects struct{ *Server }

type projectView struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Source      string `json:"source"`
	CreatedAt   stamp  `json:"createdAt"`
	CreatedBy   string `json:"createdBy"`
	UpdatedAt   stamp  `json:"updatedAt"`
	UpdatedBy   string `json:"updatedBy"`
	Meta        meta   `json:"_meta"`
}

func projectURL(id string) string { return "/api/projects/" + id }

func (c *call) viewProject(p store.Project) projectView {
	path := projectURL(p.ID)
	return projectView{
		Name: p.Name, Description: p.Description, Source: "CUSTOM", CreatedAt: stamp(p.CreatedAt), CreatedBy: User,
		UpdatedAt: stamp(p.UpdatedAt), UpdatedBy: User, Meta: c.metaOf(path, allowEdit, "versions", path+"/versions"),
	}
}

func (s projects) list(c *call) (reply, error) {
	p, err := c.paging("name")
	if err != nil {
		return reply{}, err
	}
	list := page{Items: []any{}, AppliedFilters: []any{}, Meta: c.metaOf("/api/projects", []string{http.MethodGet, http.MethodPost})}
	err = s.store.View(func(tx *store.Tx) error {
		return tx.Projects().EachName(func(name, id string) error {
			if !p.matches(name) {
				return nil
			}
			if p.takes(list.TotalCount) {
				found, err := tx.Projects().Find(id)
				if err != nil {
					return err
				}
				list.Items = append(list.Items, c.viewProject(found))
			}
			list.TotalCount++
			return nil
		})
	})
	return reply{status: http.StatusOK, body: list}, err
}

func (s projects) create(c *call) (reply, error) {
	var body struct {
		Name           string               `json:"name"`
		Description    string               `json:"description"`
		VersionRequest *jobs.VersionRequest `json:"versionRequest"`
	}
	if err := c.decode(&body); err != nil {
		return reply{}, err
	}
	p, err := s.jobs.Catalog.CreateProject(body.Name, body.Description, body.VersionRequest)
	return reply{status: http.StatusCreated, location: projectURL(p.ID), rel: "project"}, err
}

func (s projects) get(c *call) (reply, error) {
	var p store.Project
	err := s.store.View(func(tx *store.Tx) (err error) {
		p, err = tx.Projects().Find(c.PathValue("project"))
		return err
	})
	return reply{status: http.StatusOK, body: c.viewProject(p)}, err
}

// change gives a project another name or description. A field that is left out stays as it is.
func (s projects) change(c *call) (reply, error) {
	var body struct {
		Name        *string `json:"name"`
		Description *string `json:"description"`
	}
	if err := c.decode(&body); err != nil {
		return reply{}, err
	}
	p, err := s.jobs.Catalog.ChangeProject(c.PathValue("project"), body.Name, body.Description)
	return reply{status: http.StatusOK, body: c.viewProject(p)}, err
}

func (s projects) delete(c *call) (reply, error) {
	return reply{status: http.StatusNoContent}, s.jobs.Catalog.DeleteProject(c.PathValue("project"))
}
