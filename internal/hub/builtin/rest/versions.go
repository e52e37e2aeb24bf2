package rest

import (
	"net/http"

	"github.com/perceptor/perceptor/internal/hub/builtin/jobs"
	"github.com/perceptor/perceptor/internal/hub/builtin/store"
)

// versions answers /api/projects/{project}/versions.
type versions struct{ *Server }

type versionView struct {
	VersionName  string `json:"versionName"`
	Phase        string `json:"phase"`
	Distribution string `json:"distribution"`
	Source       string `json:"source"`
	CreatedAt    stamp  `json:"createdAt"`
	CreatedBy    string `json:"createdBy"`
	SettingAt    stamp  `json:"settingUpdatedAt"`
	Meta         meta   `json:"_meta"`
}

func versionURL(v store.Version) string { return projectURL(v.Project) + "/versions/" + v.ID }

func (c *call) viewVersion(v store.Version) versionView {
	path := versionURL(v)
	return versionView{
		VersionName: v.Name, Phase: v.Phase, Distribution: v.Distribution, Source: "CUSTOM",
		CreatedAt: stamp(v.CreatedAt), CreatedBy: User, SettingAt: stamp(v.UpdatedAt),
		Meta: c.metaOf(path, allowDrop, "project", projectURL(v.Project), "components", path+"/components",
			"vulnerable-components", path+"/vulnerable-bom-components", "riskProfile", path+"/risk-profile",
			"policy-status", path+"/policy-status", "codelocations", path+"/codelocations", "bom-status", path+"/bom-status"),
	}
}

// viewOf answers from one version, found by the path.
func (s *Server) viewOf(c *call, view func(*store.Tx, store.Version) (any, error)) (reply, error) {
	answer := reply{status: http.StatusOK}
	err := s.store.View(func(tx *store.Tx) error {
		v, err := tx.Versions().Find(c.PathValue("project"), c.PathValue("version"))
		if err != nil {
			return err
		}
		answer.body, err = view(tx, v)
		return err
	})
	return answer, err
}

func (s versions) list(c *call) (reply, error) {
	p, err := c.paging("versionName")
	if err != nil {
		return reply{}, err
	}
	parent := c.PathValue("project")
	list := page{Items: []any{}, AppliedFilters: []any{}, Meta: c.metaOf(projectURL(parent)+"/versions", []string{http.MethodGet, http.MethodPost})}
	err = s.store.View(func(tx *store.Tx) error {
		if _, err := tx.Projects().Find(parent); err != nil {
			return err
		}
		return tx.Versions().EachOf(parent, func(name, id string) error {
			if !p.matches(name) {
				return nil
			}
			if p.takes(list.TotalCount) {
				v, _, err := tx.Versions().Get(id)
				if err != nil {
					return err
				}
				list.Items = append(list.Items, c.viewVersion(v))
			}
			list.TotalCount++
			return nil
		})
	})
	return reply{status: http.StatusOK, body: list}, err
}

func (s versions) create(c *call) (reply, error) {
	var request jobs.VersionRequest
	if err := c.decode(&request); err != nil {
		return reply{}, err
	}
	v, err := s.jobs.Catalog.CreateVersion(c.PathValue("project"), request)
	return reply{status: http.StatusCreated, location: versionURL(v)}, err
}

func (s versions) get(c *call) (reply, error) {
	return s.viewOf(c, func(_ *store.Tx, v store.Version) (any, error) { return c.viewVersion(v), nil })
}

func (s versions) delete(c *call) (reply, error) {
	return reply{status: http.StatusNoContent}, s.jobs.Catalog.DeleteVersion(c.PathValue("project"), c.PathValue("version"))
}
