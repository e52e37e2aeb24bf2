package jobs

import (
	"fmt"
	"sync"

	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
	"github.com/perceptor/perceptor/internal/hub/builtin/store"
	"github.com/perceptor/perceptor/internal/hub/builtin/vex"
)

// What a hub keeps of exceptions. All of them are in memory while the hub runs, at about one kilobyte each.
const (
	maxExceptionDocuments = 1000
	maxExceptions         = 100_000
)

// Exceptions keeps the documents in which people say which findings do not count. After each change, every image is judged
// again without a scan, and once more when an exception ends.
type Exceptions struct {
	*core
	judging *Judging
}

// Load stores a document under a name, in place of one that is there under that name.
func (e *Exceptions) Load(name string, d vex.Document) (store.ExceptionDocument, error) {
	made := store.ExceptionDocument{Name: name, LoadedAt: e.Now(), Document: d}
	if err := CheckName("name", name); err != nil {
		return made, err
	}
	err := e.Store.Update(func(tx *store.Tx) error {
		all, err := tx.Exceptions().All()
		if err != nil {
			return err
		}
		documents, exceptions := 1, len(d.Exceptions)
		for _, each := range all {
			if each.Name != name {
				documents, exceptions = documents+1, exceptions+len(each.Exceptions)
			}
		}
		if documents > maxExceptionDocuments || exceptions > maxExceptions {
			return refuse(Invalid, "full", "with it the hub would have %d documents and %d exceptions; %d and %d are the most: remove some",
				documents, exceptions, maxExceptionDocuments, maxExceptions)
		}
		return tx.Exceptions().Put(made)
	})
	if err != nil {
		return made, err
	}
	e.Log.Info("exceptions loaded", "name", name, "format", string(d.Format), "exceptions", len(d.Exceptions), "ignored", d.Ignored)
	e.judging.All()
	return made, nil
}

// Remove deletes a document. What it accepted counts again.
func (e *Exceptions) Remove(name string) error {
	err := e.Store.Update(func(tx *store.Tx) error {
		if _, err := tx.Exceptions().Find(name); err != nil {
			return err
		}
		return tx.Exceptions().Delete(name)
	})
	if err != nil {
		return err
	}
	e.Log.Info("exceptions removed", "name", name)
	e.judging.All()
	return nil
}

// registerCache keeps the exceptions of the file in memory, prepared for judging.
type registerCache struct {
	lock     sync.Mutex
	number   uint64
	register *judge.Register
}

// of is the exceptions as a transaction sees them; nil when there are none.
func (c *registerCache) of(tx *store.Tx) (*judge.Register, error) {
	number := tx.Exceptions().Number()
	c.lock.Lock()
	defer c.lock.Unlock()
	if number == c.number {
		return c.register, nil
	}
	documents, err := tx.Exceptions().All()
	if err != nil {
		return nil, err
	}
	var all []judge.Exception
	for _, d := range documents {
		all = append(all, d.Exceptions...)
	}
	register, err := judge.NewRegister(all)
	if err != nil {
		return nil, fmt.Errorf("stored exceptions: %w", err)
	}
	// A transaction that began earlier still sees the exceptions of before: those are not kept.
	if number > c.number {
		c.number, c.register = number, register
	}
	return register, nil
}
