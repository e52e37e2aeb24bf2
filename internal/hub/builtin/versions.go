package builtin

import (
	"net/http"
	"slices"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
)

// versionRequest is the body that makes a version.
type versionRequest struct {
	Name         string `json:"versionName"`
	Phase        string `json:"phase"`
	Distribution string `json:"distribution"`
}

var (
	phases        = []string{"PLANNING", "DEVELOPMENT", "PRERELEASE", "RELEASED", "DEPRECATED", "ARCHIVED"}
	distributions = []string{"EXTERNAL", "SAAS", "INTERNAL", "OPENSOURCE"}
)

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

func (v version) path() string { return projectURL(v.Project) + "/versions/" + v.ID }

func (c *call) viewVersion(v version) versionView {
	path := v.path()
	view := versionView{
		VersionName: v.Name, Phase: v.Phase, Distribution: v.Distribution, Source: "CUSTOM",
		CreatedAt: stamp(v.CreatedAt), CreatedBy: User, SettingAt: stamp(v.UpdatedAt),
		Meta: c.metaOf(path, allowDrop, "project", projectURL(v.Project), "components", path+"/components",
			"vulnerable-components", path+"/vulnerable-bom-components", "riskProfile", path+"/risk-profile",
			"policy-status", path+"/policy-status", "codelocations", path+"/codelocations"),
	}
	if !c.old {
		view.Meta.Links = append(view.Meta.Links, link{"bom-status", c.base + path + "/bom-status"})
	}
	return view
}

func (r *versionRequest) check() error {
	if r.Phase == "" {
		r.Phase = "DEVELOPMENT"
	}
	if r.Distribution == "" {
		r.Distribution = "INTERNAL"
	}
	if !slices.Contains(phases, r.Phase) {
		return refuse(http.StatusBadRequest, "phase", "phase %.40q is none of %v", r.Phase, phases)
	}
	if !slices.Contains(distributions, r.Distribution) {
		return refuse(http.StatusBadRequest, "distribution", "distribution %.40q is none of %v", r.Distribution, distributions)
	}
	return checkName("versionName", r.Name)
}

// addVersion makes a version and refuses one whose name is taken.
func (h *Hub) addVersion(tx *bbolt.Tx, p project, request versionRequest) (version, error) {
	if err := request.check(); err != nil {
		return version{}, err
	}
	key := joinKey(p.ID, request.Name)
	if tx.Bucket([]byte(versionNameBucket)).Get([]byte(key)) != nil {
		return version{}, refuse(http.StatusPreconditionFailed, "exists", "version %.80q of project %.80q exists already", request.Name, p.Name)
	}
	now := h.now()
	v := version{
		ID: uuid.NewString(), Project: p.ID, Name: request.Name, Phase: request.Phase, Distribution: request.Distribution,
		CreatedAt: now, UpdatedAt: now,
	}
	if err := writeRaw(tx, versionNameBucket, key, []byte(v.ID)); err != nil {
		return v, err
	}
	if err := h.notify(tx, versionNotification(typeVersion, p, v, "CREATE")); err != nil {
		return v, err
	}
	return v, write(tx, versionBucket, v.ID, v)
}

// ensureVersion finds a version by its exact name or makes it.
func (h *Hub) ensureVersion(tx *bbolt.Tx, p project, name string) (version, error) {
	if id := tx.Bucket([]byte(versionNameBucket)).Get([]byte(joinKey(p.ID, name))); id != nil {
		v, _, err := read[version](tx, versionBucket, string(id))
		return v, err
	}
	return h.addVersion(tx, p, versionRequest{Name: name})
}

// dropVersion deletes a version and its verdict, unmaps its code locations and cancels the scans that run for it.
func (h *Hub) dropVersion(tx *bbolt.Tx, p project, v version) error {
	var locations []string
	err := eachUnder(tx, versionLocations, v.ID, func(id, _ string) error {
		locations = append(locations, id)
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range locations {
		if err := h.unmapForDeletion(tx, v, id); err != nil {
			return err
		}
	}
	if err := h.notify(tx, versionNotification(typeVersion, p, v, "DELETE")); err != nil {
		return err
	}
	if err := remove(tx, versionNameBucket, joinKey(v.Project, v.Name)); err != nil {
		return err
	}
	if err := remove(tx, resultBucket, v.ID); err != nil {
		return err
	}
	return remove(tx, versionBucket, v.ID)
}

func (h *Hub) unmapForDeletion(tx *bbolt.Tx, v version, locationID string) error {
	location, err := findLocation(tx, locationID)
	if err != nil {
		return err
	}
	if err := h.cancelScans(tx, location.ID, v.ID, "the project version was deleted while the scan ran"); err != nil {
		return err
	}
	return h.setMapping(tx, &location, "")
}

func (h *Hub) listVersions(c *call) (reply, error) {
	p, err := parsePaging(c.URL.Query(), "versionName")
	if err != nil {
		return reply{}, err
	}
	parent := c.PathValue("project")
	list := page{Items: []any{}, AppliedFilters: []any{}, Meta: c.metaOf(projectURL(parent)+"/versions", []string{http.MethodGet, http.MethodPost})}
	err = h.db.View(func(tx *bbolt.Tx) error {
		if _, err := findProject(tx, parent); err != nil {
			return err
		}
		return eachUnder(tx, versionNameBucket, parent, func(name, id string) error {
			if !p.matches(name) {
				return nil
			}
			if p.takes(list.TotalCount) {
				v, _, err := read[version](tx, versionBucket, id)
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

func (h *Hub) createVersion(c *call) (reply, error) {
	var request versionRequest
	if err := c.decode(&request); err != nil {
		return reply{}, err
	}
	var v version
	err := h.db.Update(func(tx *bbolt.Tx) error {
		p, err := findProject(tx, c.PathValue("project"))
		if err != nil {
			return err
		}
		v, err = h.addVersion(tx, p, request)
		return err
	})
	return reply{status: http.StatusCreated, location: v.path()}, err
}

// findVersion reads a version that belongs to the project in the path.
func findVersion(tx *bbolt.Tx, c *call) (version, error) {
	id := c.PathValue("version")
	v, ok, err := read[version](tx, versionBucket, id)
	if err == nil && (!ok || v.Project != c.PathValue("project")) {
		err = notFound("project version", id)
	}
	return v, err
}

func (h *Hub) getVersion(c *call) (reply, error) {
	var v version
	err := h.db.View(func(tx *bbolt.Tx) (err error) {
		v, err = findVersion(tx, c)
		return err
	})
	return reply{status: http.StatusOK, body: c.viewVersion(v)}, err
}

func (h *Hub) deleteVersion(c *call) (reply, error) {
	err := h.db.Update(func(tx *bbolt.Tx) error {
		v, err := findVersion(tx, c)
		if err != nil {
			return err
		}
		p, err := findProject(tx, v.Project)
		if err != nil {
			return err
		}
		return h.dropVersion(tx, p, v)
	})
	return reply{status: http.StatusNoContent}, err
}
