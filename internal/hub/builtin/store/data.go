package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// Data reaches the vulnerability data within one transaction.
//
// A generation of the data is one bucket of the file with these parts. It is written in many transactions and counts only
// once the pointer names it, which one transaction does.
type Data struct{ tx *bbolt.Tx }

const (
	recordPart    = "records"    // ecosystem, package, id -> the record's part about that package
	idPart        = "ids"        // id of every record, also of those that touch nothing that is judged
	ecosystemPart = "ecosystems" // ecosystem, id
)

var dataParts = []string{recordPart, idPart, ecosystemPart}

// Generation is the pointer to the data in use.
type Generation struct {
	Number   uint64    `json:"number"`
	LoadedAt time.Time `json:"loadedAt"`
	Records  int       `json:"records"`
	// Ecosystems counts the records of each ecosystem; a record may be about several.
	Ecosystems map[string]int `json:"ecosystems"`
}

func dataBucket(number uint64) []byte { return fmt.Appendf(nil, "%s%d", dataPrefix, number) }

// Current is the data in use; number 0 when none were ever loaded.
func (d Data) Current() (Generation, error) {
	g, _, err := read[Generation](d.tx, metaBucket, "generation")
	return g, err
}

// IsCurrent reports whether the generation of that number is in use, without decoding anything.
func (d Data) IsCurrent(number uint64) bool {
	raw := d.tx.Bucket([]byte(metaBucket)).Get([]byte("generation-number"))
	return raw != nil && string(raw) == sequenceKey(number)
}

// NextNumber takes a number that no generation, also no half-written one, ever had.
func (d Data) NextNumber() (uint64, error) {
	last := uint64(0)
	if raw := d.tx.Bucket([]byte(metaBucket)).Get([]byte("last-generation")); len(raw) == 8 {
		last = binary.BigEndian.Uint64(raw)
	}
	return last + 1, writeRaw(d.tx, metaBucket, "last-generation", []byte(sequenceKey(last+1)))
}

// Make makes an empty generation.
func (d Data) Make(number uint64) error {
	data, err := d.tx.CreateBucket(dataBucket(number))
	if err != nil {
		return fmt.Errorf("make a generation: %w", err)
	}
	for _, part := range dataParts {
		if _, err := data.CreateBucket([]byte(part)); err != nil {
			return fmt.Errorf("make %s of a generation: %w", part, err)
		}
	}
	return nil
}

// PutID files the id of a record in a generation.
func (d Data) PutID(number uint64, id string) error {
	if err := d.part(number, idPart).Put([]byte(id), nil); err != nil {
		return fmt.Errorf("write id %s: %w", id, err)
	}
	return nil
}

// PutRecord files what a record says of one package in a generation.
func (d Data) PutRecord(number uint64, ecosystem, pkg, id string, raw []byte) error {
	if err := d.part(number, recordPart).Put([]byte(recordKey(ecosystem, pkg, id)), raw); err != nil {
		return fmt.Errorf("write record %s: %w", id, err)
	}
	if err := d.part(number, ecosystemPart).Put([]byte(joinKey(ecosystem, id)), nil); err != nil {
		return fmt.Errorf("write ecosystem of record %s: %w", id, err)
	}
	return nil
}

// EachRecord visits what the records of a generation say of one package. The bytes are good until the transaction ends.
func (d Data) EachRecord(number uint64, ecosystem, pkg string, visit func(raw []byte) error) error {
	prefix := []byte(recordKey(ecosystem, pkg, ""))
	cursor := d.part(number, recordPart).Cursor()
	for at, raw := cursor.Seek(prefix); bytes.HasPrefix(at, prefix); at, raw = cursor.Next() {
		if err := visit(raw); err != nil {
			return err
		}
	}
	return nil
}

// Use makes a generation the one in use.
func (d Data) Use(number uint64, at time.Time) error {
	g := Generation{Number: number, LoadedAt: at, Ecosystems: map[string]int{}, Records: d.part(number, idPart).Stats().KeyN}
	err := d.part(number, ecosystemPart).ForEach(func(key, _ []byte) error {
		ecosystem, _, _ := strings.Cut(string(key), "\x00")
		g.Ecosystems[ecosystem]++
		return nil
	})
	if err != nil {
		return err
	}
	if err := writeRaw(d.tx, metaBucket, "generation-number", []byte(sequenceKey(number))); err != nil {
		return err
	}
	return write(d.tx, metaBucket, "generation", g)
}

// Copy copies a batch of one part of a generation to another, without the records whose id the other one has. It begins
// at a key and answers where the next batch begins; nil at the end.
func (d Data) Copy(part string, from, to uint64, start []byte, most, mostBytes int) (next []byte, copied int, err error) {
	ids, into := d.part(to, idPart), d.part(to, part)
	cursor := d.part(from, part).Cursor()
	seen, size := 0, 0
	for key, value := cursor.Seek(start); key != nil; key, value = cursor.Next() {
		if seen++; seen > most || size > mostBytes {
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

// Parts are the parts of a generation in the order in which they are copied: the ids come last, because until then they
// are exactly those of the new records.
func (d Data) Parts() (parts []string, ids string) {
	return []string{recordPart, ecosystemPart, idPart}, idPart
}

// Unused names a generation that is neither in use nor the one being written; empty when there is none.
func (d Data) Unused(writing uint64) (name string, err error) {
	current, err := d.Current()
	if err != nil {
		return "", err
	}
	used := map[string]bool{string(dataBucket(current.Number)): true, string(dataBucket(writing)): true}
	err = d.tx.ForEach(func(bucket []byte, _ *bbolt.Bucket) error {
		if strings.HasPrefix(string(bucket), dataPrefix) && !used[string(bucket)] {
			name = string(bucket)
		}
		return nil
	})
	return name, err
}

// DeletePart deletes at most that many entries of an unused generation, and the generation when nothing is left in it.
func (d Data) DeletePart(name string, most int) error {
	data, left := d.tx.Bucket([]byte(name)), most
	for _, part := range dataParts {
		bucket := data.Bucket([]byte(part))
		if bucket == nil {
			continue
		}
		cursor := bucket.Cursor()
		for key := firstKey(cursor); key != nil && left > 0; key = firstKey(cursor) {
			if err := cursor.Delete(); err != nil {
				return fmt.Errorf("delete from %s: %w", part, err)
			}
			left--
		}
	}
	if left == 0 {
		return nil
	}
	return d.tx.DeleteBucket([]byte(name))
}

func (d Data) part(number uint64, part string) *bbolt.Bucket {
	return d.tx.Bucket(dataBucket(number)).Bucket([]byte(part))
}

func recordKey(ecosystem, pkg, id string) string { return joinKey(joinKey(ecosystem, pkg), id) }
