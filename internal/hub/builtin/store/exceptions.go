package store

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/perceptor/perceptor/internal/hub/builtin/vex"
)

// Exceptions reaches the documents of exceptions within one transaction.
type Exceptions struct{ tx *bbolt.Tx }

// ExceptionDocument is a document of exceptions as it was loaded.
type ExceptionDocument struct {
	// Name is what the operator calls it. Loading another one under the name replaces it.
	Name     string    `json:"name"`
	LoadedAt time.Time `json:"loadedAt"`
	vex.Document
}

const exceptionNumber = "exceptions-number"

// Number changes whenever a document is loaded or removed; 0 when none ever was.
func (e Exceptions) Number() uint64 {
	if raw := e.tx.Bucket([]byte(metaBucket)).Get([]byte(exceptionNumber)); len(raw) == 8 {
		return binary.BigEndian.Uint64(raw)
	}
	return 0
}

func (e Exceptions) next() error {
	return writeRaw(e.tx, metaBucket, exceptionNumber, []byte(sequenceKey(e.Number()+1)))
}

// Put stores a document under its name.
func (e Exceptions) Put(d ExceptionDocument) error {
	if err := write(e.tx, exceptionBucket, d.Name, d); err != nil {
		return err
	}
	return e.next()
}

// Find reads a document; the error is a NotFoundError where there is none.
func (e Exceptions) Find(name string) (ExceptionDocument, error) {
	return find[ExceptionDocument](e.tx, exceptionBucket, "document of exceptions", name)
}

// Delete deletes a document.
func (e Exceptions) Delete(name string) error {
	if err := remove(e.tx, exceptionBucket, name); err != nil {
		return err
	}
	return e.next()
}

// All reads every document, in the order of their names.
func (e Exceptions) All() ([]ExceptionDocument, error) {
	var all []ExceptionDocument
	err := e.tx.Bucket([]byte(exceptionBucket)).ForEach(func(name, raw []byte) error {
		var d ExceptionDocument
		if err := json.Unmarshal(raw, &d); err != nil {
			return fmt.Errorf("read exceptions %q of the hub's file: %w", name, err)
		}
		all = append(all, d)
		return nil
	})
	return all, err
}
