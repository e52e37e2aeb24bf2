package builtin

import (
	"bytes"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
)

// maxName bounds names of projects, versions and scans, in bytes. A repository has at most 255, so this leaves room.
const maxName = 512

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

func (c *call) viewProject(p project) projectView {
	path := projectURL(p.ID)
	return projectView{
		Name: p.Name, Description: p.Description, Source: "CUSTOM", CreatedAt: stamp(p.CreatedAt), CreatedBy: User,
		UpdatedAt: stamp(p.UpdatedAt), UpdatedBy: User, Meta: c.metaOf(path, allowDrop, "versions", path+"/versions"),
	}
}

// checkName refuses names that cannot be kept or shown.
func checkName(field, name string) error {
	switch {
	case name == "":
		return refuse(http.StatusBadRequest, "name", "%s is missing", field)
	case len(name) > maxName:
		return refuse(http.StatusBadRequest, "name", "%s has %d bytes; %d is the most", field, len(name), maxName)
	case strings.ContainsRune(name, 0) || !utf8.ValidString(name):
		return refuse(http.StatusBadRequest, "name", "%s is not plain UTF-8 text", field)
	}
	return nil
}

// ensureProject finds a project by its exact name or makes it.
func (h *Hub) ensureProject(tx *bbolt.Tx, name string) (found project, made bool, err error) {
	if id := tx.Bucket([]byte(projectNameBucket)).Get([]byte(name)); id != nil {
		found, _, err = read[project](tx, projectBucket, string(id))
		return found, false, err
	}
	now := h.now()
	p := project{ID: uuid.NewString(), Name: name, CreatedAt: now, UpdatedAt: now}
	if err := writeRaw(tx, projectNameBucket, name, []byte(p.ID)); err != nil {
		return p, false, err
	}
	if err := h.notify(tx, notification{Type: typeProject, Operation: "CREATE", Project: p.ID, ProjectName: p.Name}); err != nil {
		return p, false, err
	}
	return p, true, write(tx, projectBucket, p.ID, p)
}

func (h *Hub) listProjects(c *call) (reply, error) {
	p, err := parsePaging(c.URL.Query(), "name")
	if err != nil {
		return reply{}, err
	}
	list := page{Items: []any{}, AppliedFilters: []any{}, Meta: c.metaOf("/api/projects", []string{http.MethodGet, http.MethodPost})}
	err = h.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(projectNameBucket)).ForEach(func(name, id []byte) error {
			if !p.matches(string(name)) {
				return nil
			}
			if p.takes(list.TotalCount) {
				found, _, err := read[project](tx, projectBucket, string(id))
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

func (h *Hub) createProject(c *call) (reply, error) {
	var body struct {
		Name           string          `json:"name"`
		Description    string          `json:"description"`
		VersionRequest *versionRequest `json:"versionRequest"`
	}
	if err := c.decode(&body); err != nil {
		return reply{}, err
	}
	if err := checkName("name", body.Name); err != nil {
		return reply{}, err
	}
	var p project
	err := h.db.Update(func(tx *bbolt.Tx) error {
		var made bool
		var err error
		if p, made, err = h.ensureProject(tx, body.Name); err != nil {
			return err
		}
		if !made {
			return refuse(http.StatusPreconditionFailed, "exists", "project %.80q exists already", body.Name)
		}
		if p.Description = body.Description; p.Description != "" {
			if err := write(tx, projectBucket, p.ID, p); err != nil {
				return err
			}
		}
		if body.VersionRequest == nil {
			return nil
		}
		_, err = h.addVersion(tx, p, *body.VersionRequest)
		return err
	})
	return reply{status: http.StatusCreated, location: projectURL(p.ID)}, err
}

func findProject(tx *bbolt.Tx, id string) (project, error) {
	p, ok, err := read[project](tx, projectBucket, id)
	if err == nil && !ok {
		err = notFound("project", id)
	}
	return p, err
}

func (h *Hub) getProject(c *call) (reply, error) {
	var p project
	err := h.db.View(func(tx *bbolt.Tx) (err error) {
		p, err = findProject(tx, c.PathValue("project"))
		return err
	})
	return reply{status: http.StatusOK, body: c.viewProject(p)}, err
}

// deleteProject deletes its versions too; their code locations stay, unmapped.
func (h *Hub) deleteProject(c *call) (reply, error) {
	err := h.db.Update(func(tx *bbolt.Tx) error {
		p, err := findProject(tx, c.PathValue("project"))
		if err != nil {
			return err
		}
		ids, err := versionIDs(tx, p.ID)
		if err != nil {
			return err
		}
		for _, id := range ids {
			v, _, err := read[version](tx, versionBucket, id)
			if err != nil {
				return err
			}
			if err := h.dropVersion(tx, p, v); err != nil {
				return err
			}
		}
		if err := h.notify(tx, notification{Type: typeProject, Operation: "DELETE", Project: p.ID, ProjectName: p.Name}); err != nil {
			return err
		}
		if err := remove(tx, projectNameBucket, p.Name); err != nil {
			return err
		}
		return remove(tx, projectBucket, p.ID)
	})
	return reply{status: http.StatusNoContent}, err
}

// versionIDs lists a project's versions in the order of their names.
func versionIDs(tx *bbolt.Tx, projectID string) ([]string, error) {
	var ids []string
	err := eachUnder(tx, versionNameBucket, projectID, func(_, id string) error {
		ids = append(ids, id)
		return nil
	})
	return ids, err
}

// eachUnder walks the entries of an index below its first part.
func eachUnder(tx *bbolt.Tx, bucket, first string, visit func(second, value string) error) error {
	prefix := []byte(joinKey(first, ""))
	cursor := tx.Bucket([]byte(bucket)).Cursor()
	for key, value := cursor.Seek(prefix); bytes.HasPrefix(key, prefix); key, value = cursor.Next() {
		if err := visit(string(key[len(prefix):]), string(value)); err != nil {
			return err
		}
	}
	return nil
}
