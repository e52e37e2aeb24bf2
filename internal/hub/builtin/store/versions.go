package store

import (
	"go.etcd.io/bbolt"

	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
)

// Versions reaches the project versions and their verdicts within one transaction.
type Versions struct{ tx *bbolt.Tx }

// Get reads a version and reports whether it is there.
func (v Versions) Get(id string) (Version, bool, error) {
	return read[Version](v.tx, versionBucket, id)
}

// Find reads a version of a project; the error is a NotFoundError where there is none.
func (v Versions) Find(project, id string) (Version, error) {
	found, ok, err := v.Get(id)
	if err == nil && (!ok || found.Project != project) {
		err = &NotFoundError{What: "project version", ID: id}
	}
	return found, err
}

// FindByName reads a version by its exact name and reports whether it is there.
func (v Versions) FindByName(project, name string) (Version, bool, error) {
	id := v.tx.Bucket([]byte(versionNameBucket)).Get([]byte(joinKey(project, name)))
	if id == nil {
		return Version{}, false, nil
	}
	return v.Get(string(id))
}

// Add stores a new version under its name.
func (v Versions) Add(version Version) error {
	if err := writeRaw(v.tx, versionNameBucket, joinKey(version.Project, version.Name), []byte(version.ID)); err != nil {
		return err
	}
	return v.Put(version)
}

// Put stores a version whose name did not change.
func (v Versions) Put(version Version) error {
	return write(v.tx, versionBucket, version.ID, version)
}

// Delete deletes a version and its verdict; its code locations are the caller's concern.
func (v Versions) Delete(version Version) error {
	if err := remove(v.tx, versionNameBucket, joinKey(version.Project, version.Name)); err != nil {
		return err
	}
	if err := remove(v.tx, resultBucket, version.ID); err != nil {
		return err
	}
	return remove(v.tx, versionBucket, version.ID)
}

// EachOf walks the versions of a project in the order of their names.
func (v Versions) EachOf(project string, visit func(name, id string) error) error {
	return eachUnder(v.tx, versionNameBucket, project, visit)
}

// EachFrom walks all versions in the order of their ids, from an id on, until the function returns false.
func (v Versions) EachFrom(id string, visit func(Version) bool) error {
	cursor := v.tx.Bucket([]byte(versionBucket)).Cursor()
	for key, _ := cursor.Seek([]byte(id)); key != nil; key, _ = cursor.Next() {
		version, _, err := v.Get(string(key))
		if err != nil {
			return err
		}
		if !visit(version) {
			return nil
		}
	}
	return nil
}

// EachCodeLocation walks the ids of the code locations that are mapped to a version.
func (v Versions) EachCodeLocation(id string, visit func(location string) error) error {
	return eachUnder(v.tx, versionLocations, id, func(location, _ string) error { return visit(location) })
}

// Result reads the judged components of a version; none when it was never judged.
func (v Versions) Result(id string) ([]judge.Judged, error) {
	result, _, err := read[[]judge.Judged](v.tx, resultBucket, id)
	return result, err
}

// PutResult stores the judged components of a version.
func (v Versions) PutResult(id string, result []judge.Judged) error {
	return write(v.tx, resultBucket, id, result)
}

// Contents puts the contents of a version's code locations together. Scanned is false when none of them has been scanned
// to the end: then nothing can be said of the version.
func (v Versions) Contents(id string) (all judge.Contents, scanned bool, err error) {
	err = v.EachCodeLocation(id, func(location string) error {
		found, ok, err := read[judge.Contents](v.tx, contentsBucket, location)
		switch {
		case err != nil || !ok:
			return err
		case scanned:
			all = judge.Combine(all, found)
		default:
			all, scanned = found, true
		}
		return nil
	})
	return all, scanned, err
}
