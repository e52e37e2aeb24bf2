package store

import "go.etcd.io/bbolt"

// Projects reaches the projects within one transaction.
type Projects struct{ tx *bbolt.Tx }

// Find reads a project; the error is a NotFoundError where there is none.
func (p Projects) Find(id string) (Project, error) {
	return find[Project](p.tx, projectBucket, "project", id)
}

// FindByName reads a project by its exact name and reports whether it is there.
func (p Projects) FindByName(name string) (Project, bool, error) {
	id := p.tx.Bucket([]byte(projectNameBucket)).Get([]byte(name))
	if id == nil {
		return Project{}, false, nil
	}
	return read[Project](p.tx, projectBucket, string(id))
}

// Add stores a new project under its name.
func (p Projects) Add(project Project) error {
	if err := writeRaw(p.tx, projectNameBucket, project.Name, []byte(project.ID)); err != nil {
		return err
	}
	return p.Put(project)
}

// Put stores a project whose name did not change.
func (p Projects) Put(project Project) error {
	return write(p.tx, projectBucket, project.ID, project)
}

// Delete deletes a project; its versions are the caller's concern.
func (p Projects) Delete(project Project) error {
	if err := remove(p.tx, projectNameBucket, project.Name); err != nil {
		return err
	}
	return remove(p.tx, projectBucket, project.ID)
}

// EachName walks the names in their order.
func (p Projects) EachName(visit func(name, id string) error) error {
	return eachName(p.tx, projectNameBucket, visit)
}
