package store

import (
	"bytes"
	"strings"

	"go.etcd.io/bbolt"
)

// CodeLocations reaches the code locations and their contents within one transaction. Names are compared without regard
// to case.
type CodeLocations struct{ tx *bbolt.Tx }

// Find reads a code location; the error is a NotFoundError where there is none.
func (c CodeLocations) Find(id string) (CodeLocation, error) {
	return find[CodeLocation](c.tx, locationBucket, "code location", id)
}

// FindByName reads a code location by its name and reports whether it is there.
func (c CodeLocations) FindByName(name string) (CodeLocation, bool, error) {
	id := c.tx.Bucket([]byte(locationNameBucket)).Get([]byte(strings.ToLower(name)))
	if id == nil {
		return CodeLocation{}, false, nil
	}
	l, err := c.Find(string(id))
	return l, true, err
}

// Add stores a new code location under its name.
func (c CodeLocations) Add(l CodeLocation) error {
	if err := writeRaw(c.tx, locationNameBucket, strings.ToLower(l.Name), []byte(l.ID)); err != nil {
		return err
	}
	return c.Put(l)
}

// Put stores a code location whose name and version did not change.
func (c CodeLocations) Put(l CodeLocation) error { return write(c.tx, locationBucket, l.ID, l) }

// Map moves a code location to a version, or to none with an empty id, and stores it. Verdicts are the caller's concern.
func (c CodeLocations) Map(l CodeLocation, version string) error {
	if l.Version != "" {
		if err := remove(c.tx, versionLocations, joinKey(l.Version, l.ID)); err != nil {
			return err
		}
	}
	if version != "" {
		if err := writeRaw(c.tx, versionLocations, joinKey(version, l.ID), nil); err != nil {
			return err
		}
	}
	l.Version = version
	return c.Put(l)
}

// Delete deletes a code location that is mapped to no version, with its contents.
func (c CodeLocations) Delete(l CodeLocation) error {
	for bucket, key := range map[string]string{locationBucket: l.ID, locationNameBucket: strings.ToLower(l.Name), contentsBucket: l.ID} {
		if err := remove(c.tx, bucket, key); err != nil {
			return err
		}
	}
	return nil
}

// EachName walks the names, in lower case, in their order.
func (c CodeLocations) EachName(visit func(name, id string) error) error {
	return eachName(c.tx, locationNameBucket, visit)
}

// Fill makes the components of a scan the contents of a code location.
func (c CodeLocations) Fill(l CodeLocation, scan Scan) error {
	found := c.tx.Bucket([]byte(scanContentsBucket)).Get([]byte(scan.ID))
	return writeRaw(c.tx, contentsBucket, l.ID, bytes.Clone(found))
}
