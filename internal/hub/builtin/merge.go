package builtin

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// keepOld copies what the data in use have and the new generation has not, by id: a record that came anew replaces the old
// one whole, also under packages it is no longer about.
func (l *loader) keepOld(ctx context.Context) error {
	var old uint64
	err := l.hub.db.View(func(tx *bbolt.Tx) error {
		g, err := currentGeneration(tx)
		old = g.Number
		return err
	})
	if err != nil || old == 0 {
		return err
	}
	// Ids are copied last: until then they are exactly those that came anew.
	for _, part := range []string{recordPart, ecosystemPart, idPart} {
		for from := []byte(nil); ; {
			if err := errors.Join(ctx.Err(), l.hub.context.Err()); err != nil {
				return fmt.Errorf("keep old vulnerability data: %w", err)
			}
			var copied int
			err := l.hub.db.Update(func(tx *bbolt.Tx) (err error) {
				from, copied, err = l.copyPart(tx, old, part, from)
				return err
			})
			if err != nil {
				return fmt.Errorf("keep old vulnerability data: %w", err)
			}
			if part == idPart {
				l.report.Kept += copied
			}
			if from == nil {
				break
			}
		}
	}
	return nil
}

// copyPart copies one batch that begins at a key, and answers where the next one begins; nil at the end.
func (l *loader) copyPart(tx *bbolt.Tx, old uint64, part string, from []byte) (next []byte, copied int, err error) {
	target := tx.Bucket(dataBucket(l.number))
	ids, into := target.Bucket([]byte(idPart)), target.Bucket([]byte(part))
	cursor := tx.Bucket(dataBucket(old)).Bucket([]byte(part)).Cursor()
	seen, size := 0, 0
	for key, value := cursor.Seek(from); key != nil; key, value = cursor.Next() {
		if seen++; seen > loadBatch || size > loadBatchBytes {
			return bytes.Clone(key), copied, nil
		}
		id := key[bytes.LastIndexByte(key, 0)+1:]
		if found, _ := ids.Cursor().Seek(id); bytes.Equal(found, id) {
			continue
		}
		if err := into.Put(bytes.Clone(key), bytes.Clone(value)); err != nil {
			return nil, copied, fmt.Errorf("copy %s: %w", part, err)
		}
		size += len(key) + len(value)
		copied++
	}
	return nil, copied, nil
}
