package jobs

import (
	"fmt"
	"time"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/internal/hub/builtin/store"
)

// changed is one record as its source has it now.
type changed struct {
	id string
	// at is when the source changed it.
	at   time.Time
	text []byte
	gone bool
}

// renew notes that the data of an ecosystem were checked and are what the source has.
func (u *Updates) renew(ecosystem string, set uint64, checked time.Time) error {
	return u.apply(ecosystem, set, checked, nil, nil)
}

// apply brings the set of an ecosystem up to date, all at once, and has versions judged again. A record that cannot be
// understood leaves the old one of its id in place.
func (u *Updates) apply(ecosystem string, set uint64, checked time.Time, changes []changed, gone []string) error {
	end, err := u.begin(u.context, true)
	if err != nil {
		return err
	}
	defer end()
	unreadable := 0
	err = u.Store.Update(func(tx *store.Tx) error {
		g, err := tx.Data().Current()
		if err != nil {
			return err
		}
		held := g.Ecosystems[ecosystem]
		if held.Number != set {
			return ErrLoading // an operator loaded others in the meantime
		}
		at := store.Set{Number: set, Ecosystem: ecosystem}
		for _, id := range gone {
			if err := tx.Data().Remove(at, id); err != nil {
				return err
			}
		}
		for _, each := range changes {
			understood, err := put(tx, at, each)
			if err != nil {
				return err
			}
			if !understood {
				unreadable++
			}
		}
		if len(changes)+len(gone) > 0 {
			if held.Records, held.Releases, err = tx.Data().Count(at); err != nil {
				return err
			}
			held.LoadedAt = u.Now()
		}
		held.AsOf = checked
		g.Ecosystems[ecosystem] = held
		if g.Number, err = tx.Data().NextNumber(); err != nil {
			return err
		}
		return tx.Data().Use(g)
	})
	if err != nil {
		return fmt.Errorf("update the data of %s: %w", ecosystem, err)
	}
	u.Log.Info("vulnerability data checked", "ecosystem", ecosystem, "changed", len(changes), "gone", len(gone), "unreadable", unreadable)
	u.judging.All()
	return nil
}

// put replaces one record and reports whether the new one was understood.
func put(tx *store.Tx, into store.Set, each changed) (understood bool, err error) {
	record, err := osv.Parse(each.text)
	if err != nil || record.ID != each.id {
		return false, tx.Data().Mark(into, each.id, each.at)
	}
	if err := tx.Data().Remove(into, each.id); err != nil {
		return false, err
	}
	return true, tx.Data().Put(into, record, each.at)
}
