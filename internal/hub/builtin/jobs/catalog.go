package jobs

import (
	"slices"

	"github.com/google/uuid"

	"github.com/perceptor/perceptor/internal/hub/builtin/store"
)

// Catalog edits projects, versions and code locations, with everything that an edit entails: notifications, the end of
// scans that run for what is deleted, and judging again.
type Catalog struct {
	*core
	judging *Judging
}

var (
	phases        = []string{"PLANNING", "DEVELOPMENT", "PRERELEASE", "RELEASED", "DEPRECATED", "ARCHIVED"}
	distributions = []string{"EXTERNAL", "SAAS", "INTERNAL", "OPENSOURCE"}
)

// VersionRequest is what makes a version.
type VersionRequest struct {
	Name         string `json:"versionName"`
	Phase        string `json:"phase"`
	Distribution string `json:"distribution"`
}

func (r *VersionRequest) check() error {
	if r.Phase == "" {
		r.Phase = "DEVELOPMENT"
	}
	if r.Distribution == "" {
		r.Distribution = "INTERNAL"
	}
	if !slices.Contains(phases, r.Phase) {
		return refuse(Invalid, "phase", "phase %.40q is none of %v", r.Phase, phases)
	}
	if !slices.Contains(distributions, r.Distribution) {
		return refuse(Invalid, "distribution", "distribution %.40q is none of %v", r.Distribution, distributions)
	}
	return CheckName("versionName", r.Name)
}

// CreateProject makes a project and, with a request, its first version. It refuses a name that is taken.
func (c *Catalog) CreateProject(name, description string, first *VersionRequest) (store.Project, error) {
	var p store.Project
	if err := CheckName("name", name); err != nil {
		return p, err
	}
	err := c.Store.Update(func(tx *store.Tx) error {
		var made bool
		var err error
		if p, made, err = c.ensureProject(tx, name); err != nil {
			return err
		}
		if !made {
			return refuse(Exists, "exists", "project %.80q exists already", name)
		}
		if p.Description = description; p.Description != "" {
			if err := tx.Projects().Put(p); err != nil {
				return err
			}
		}
		if first == nil {
			return nil
		}
		_, err = c.addVersion(tx, p, *first)
		return err
	})
	return p, err
}

// ensureProject finds a project by its exact name or makes it.
func (c *Catalog) ensureProject(tx *store.Tx, name string) (found store.Project, made bool, err error) {
	if found, ok, err := tx.Projects().FindByName(name); err != nil || ok {
		return found, false, err
	}
	now := c.Now()
	p := store.Project{ID: uuid.NewString(), Name: name, CreatedAt: now, UpdatedAt: now}
	if err := c.notify(tx, store.Notification{Type: store.TypeProject, Operation: "CREATE", Project: p.ID, ProjectName: p.Name}); err != nil {
		return p, false, err
	}
	return p, true, tx.Projects().Add(p)
}

// DeleteProject deletes a project with its versions; their code locations stay, unmapped.
func (c *Catalog) DeleteProject(id string) error {
	return c.Store.Update(func(tx *store.Tx) error {
		p, err := tx.Projects().Find(id)
		if err != nil {
			return err
		}
		var ids []string
		err = tx.Versions().EachOf(p.ID, func(_, id string) error {
			ids = append(ids, id)
			return nil
		})
		if err != nil {
			return err
		}
		for _, id := range ids {
			v, _, err := tx.Versions().Get(id)
			if err != nil {
				return err
			}
			if err := c.dropVersion(tx, p, v); err != nil {
				return err
			}
		}
		if err := c.notify(tx, store.Notification{Type: store.TypeProject, Operation: "DELETE", Project: p.ID, ProjectName: p.Name}); err != nil {
			return err
		}
		return tx.Projects().Delete(p)
	})
}

// CreateVersion makes a version of a project and refuses one whose name is taken.
func (c *Catalog) CreateVersion(project string, request VersionRequest) (store.Version, error) {
	var v store.Version
	err := c.Store.Update(func(tx *store.Tx) error {
		p, err := tx.Projects().Find(project)
		if err != nil {
			return err
		}
		v, err = c.addVersion(tx, p, request)
		return err
	})
	return v, err
}

func (c *Catalog) addVersion(tx *store.Tx, p store.Project, request VersionRequest) (store.Version, error) {
	if err := request.check(); err != nil {
		return store.Version{}, err
	}
	if _, taken, err := tx.Versions().FindByName(p.ID, request.Name); err != nil || taken {
		if err == nil {
			err = refuse(Exists, "exists", "version %.80q of project %.80q exists already", request.Name, p.Name)
		}
		return store.Version{}, err
	}
	now := c.Now()
	v := store.Version{
		ID: uuid.NewString(), Project: p.ID, Name: request.Name, Phase: request.Phase, Distribution: request.Distribution,
		CreatedAt: now, UpdatedAt: now,
	}
	if err := c.notify(tx, versionNotification(store.TypeVersion, p, v, "CREATE")); err != nil {
		return v, err
	}
	return v, tx.Versions().Add(v)
}

// ensureVersion finds a version by its exact name or makes it.
func (c *Catalog) ensureVersion(tx *store.Tx, p store.Project, name string) (store.Version, error) {
	if v, ok, err := tx.Versions().FindByName(p.ID, name); err != nil || ok {
		return v, err
	}
	return c.addVersion(tx, p, VersionRequest{Name: name})
}

// DeleteVersion deletes a version and its verdict, unmaps its code locations and cancels the scans that run for it.
func (c *Catalog) DeleteVersion(project, id string) error {
	return c.Store.Update(func(tx *store.Tx) error {
		v, err := tx.Versions().Find(project, id)
		if err != nil {
			return err
		}
		p, err := tx.Projects().Find(v.Project)
		if err != nil {
			return err
		}
		return c.dropVersion(tx, p, v)
	})
}

func (c *Catalog) dropVersion(tx *store.Tx, p store.Project, v store.Version) error {
	var locations []string
	err := tx.Versions().EachCodeLocation(v.ID, func(id string) error {
		locations = append(locations, id)
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range locations {
		if err := c.unmapForDeletion(tx, v, id); err != nil {
			return err
		}
	}
	if err := c.notify(tx, versionNotification(store.TypeVersion, p, v, "DELETE")); err != nil {
		return err
	}
	return tx.Versions().Delete(v)
}

func (c *Catalog) unmapForDeletion(tx *store.Tx, v store.Version, locationID string) error {
	location, err := tx.CodeLocations().Find(locationID)
	if err != nil {
		return err
	}
	if err := c.cancelScans(tx, location.ID, v.ID, "the project version was deleted while the scan ran"); err != nil {
		return err
	}
	return c.setMapping(tx, &location, "")
}

// ensureLocation finds a code location by name, without regard to case, or makes it.
func (c *Catalog) ensureLocation(tx *store.Tx, name string) (store.CodeLocation, error) {
	if l, ok, err := tx.CodeLocations().FindByName(name); err != nil || ok {
		return l, err
	}
	now := c.Now()
	l := store.CodeLocation{ID: uuid.NewString(), Name: name, CreatedAt: now, UpdatedAt: now}
	return l, tx.CodeLocations().Add(l)
}

// setMapping moves a code location to a version, or to none. Verdicts are the caller's concern.
func (c *Catalog) setMapping(tx *store.Tx, l *store.CodeLocation, versionID string) error {
	l.UpdatedAt = c.Now()
	if err := tx.CodeLocations().Map(*l, versionID); err != nil {
		return err
	}
	l.Version = versionID
	return nil
}

// MapLocation moves a code location to another version, or to none with an empty id; both versions are judged again.
func (c *Catalog) MapLocation(tx *store.Tx, l *store.CodeLocation, versionID string) error {
	left := l.Version
	if err := c.setMapping(tx, l, versionID); err != nil {
		return err
	}
	return c.judging.again(tx, left, versionID)
}

// DeleteLocation deletes a code location with its scans; the version that it was mapped to is judged again.
func (c *Catalog) DeleteLocation(id string) error {
	return c.Store.Update(func(tx *store.Tx) error {
		l, err := tx.CodeLocations().Find(id)
		if err != nil {
			return err
		}
		if err := c.cancelScans(tx, l.ID, "", "the code location was deleted while the scan ran"); err != nil {
			return err
		}
		if err := dropScans(tx, l.ID, 0); err != nil {
			return err
		}
		return c.dropLocation(tx, l)
	})
}

// dropLocation deletes a code location that has no scans left.
func (c *Catalog) dropLocation(tx *store.Tx, l store.CodeLocation) error {
	left := l.Version
	if err := c.setMapping(tx, &l, ""); err != nil {
		return err
	}
	if err := tx.CodeLocations().Delete(l); err != nil {
		return err
	}
	return c.judging.again(tx, left)
}

// cancelScans ends the running scans of a code location, or only those for one version.
func (c *Catalog) cancelScans(tx *store.Tx, locationID, versionID, message string) error {
	scans, err := tx.Scans().Of(locationID)
	if err != nil {
		return err
	}
	for _, s := range scans {
		if s.State != store.ScanStarted || versionID != "" && s.Version != versionID {
			continue
		}
		if err := c.endScan(tx, s, store.ScanFailure, "CANCELLED", message); err != nil {
			return err
		}
	}
	return nil
}

// endScan writes the end of a running scan.
func (c *core) endScan(tx *store.Tx, s store.Scan, state store.ScanState, reason, message string) error {
	s.State, s.Reason, s.Message, s.UpdatedAt = state, reason, message, c.Now()
	return tx.Scans().End(s)
}

// dropScans deletes the finished scans of a code location but the newest ones.
func dropScans(tx *store.Tx, locationID string, keep int) error {
	scans, err := tx.Scans().Of(locationID)
	if err != nil {
		return err
	}
	for i, s := range scans {
		if i < keep || s.State == store.ScanStarted {
			continue
		}
		if err := tx.Scans().Delete(s); err != nil {
			return err
		}
	}
	return nil
}

// ChangeProject gives a project another name or description; nil leaves one as it is. It refuses a name that is taken.
func (c *Catalog) ChangeProject(id string, name, description *string) (store.Project, error) {
	var p store.Project
	if name != nil {
		if err := CheckName("name", *name); err != nil {
			return p, err
		}
	}
	err := c.Store.Update(func(tx *store.Tx) error {
		var err error
		if p, err = tx.Projects().Find(id); err != nil {
			return err
		}
		before := p
		if name != nil && *name != p.Name {
			_, taken, err := tx.Projects().FindByName(*name)
			if err != nil {
				return err
			}
			if taken {
				return refuse(Exists, "exists", "project %.80q exists already", *name)
			}
			p.Name = *name
		}
		if description != nil {
			p.Description = *description
		}
		if p == before {
			return nil
		}
		p.UpdatedAt = c.Now()
		if err := tx.Projects().Delete(before); err != nil {
			return err
		}
		return tx.Projects().Add(p)
	})
	return p, err
}
