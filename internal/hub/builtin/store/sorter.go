package store

import (
	"bufio"
	"bytes"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
)

// Sorter brings the entries of a whole load into the order of their keys with bounded memory: what does not fit is kept in
// files until the end. Written in this order, a set is written once, page by page; in the order of the records, every
// transaction would write nearly every page again.
type Sorter struct {
	dir     string
	most    int
	entries []Entry
	bytes   int
	runs    []*os.File
}

// NewSorter keeps files in a directory once the entries take more than that many bytes.
func NewSorter(dir string, most int) *Sorter { return &Sorter{dir: dir, most: most} }

// Add takes entries.
func (s *Sorter) Add(entries ...Entry) error {
	for i := range entries {
		s.bytes += entries[i].Size()
	}
	s.entries = append(s.entries, entries...)
	if s.bytes <= s.most {
		return nil
	}
	return s.spill()
}

func (s *Sorter) sort() {
	slices.SortStableFunc(s.entries, func(a, b Entry) int { return a.compare(&b) })
}

func (e *Entry) compare(other *Entry) int {
	if e.Ecosystem != other.Ecosystem {
		return strings.Compare(e.Ecosystem, other.Ecosystem)
	}
	if e.part != other.part {
		return int(e.part) - int(other.part)
	}
	return bytes.Compare(e.key, other.key)
}

// spill writes what is in memory into a file, in order.
func (s *Sorter) spill() error {
	s.sort()
	file, err := os.CreateTemp(s.dir, "sorted-*")
	if err != nil {
		return fmt.Errorf("sort vulnerability data: %w", err)
	}
	s.runs = append(s.runs, file)
	out := bufio.NewWriterSize(file, 1<<18)
	var head []byte
	for i := range s.entries {
		each := &s.entries[i]
		head = append(head[:0], each.part)
		for _, n := range []int{len(each.Ecosystem), len(each.key), len(each.value)} {
			head = binary.AppendUvarint(head, uint64(n)) //nolint:gosec // a length
		}
		for _, text := range [][]byte{head, []byte(each.Ecosystem), each.key, each.value} {
			_, _ = out.Write(text) // the writer keeps its first error for Flush
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("sort vulnerability data: %w", err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("sort vulnerability data: %w", err)
	}
	clear(s.entries)
	s.entries, s.bytes = s.entries[:0], 0
	return nil
}

// Sorted yields all entries in their order. Of several with one key, the last one that was added counts.
func (s *Sorter) Sorted() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		s.sort()
		var merged runs
		add := func(next func() (Entry, error)) error {
			r := &run{next: next, age: len(merged)}
			more, err := r.step()
			if more {
				merged = append(merged, r)
			}
			return err
		}
		for _, file := range s.runs {
			if err := add(fileRun(file)); err != nil {
				yield(Entry{}, err)
				return
			}
		}
		_ = add(memoryRun(s.entries)) // memory is always read
		heap.Init(&merged)
		for len(merged) > 0 {
			first := merged[0]
			entry := first.entry
			more, err := first.step()
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if more {
				heap.Fix(&merged, 0)
			} else {
				heap.Pop(&merged)
			}
			if len(merged) > 0 && merged[0].entry.compare(&entry) == 0 {
				continue
			}
			if !yield(entry, nil) {
				return
			}
		}
	}
}

// Close deletes the files.
func (s *Sorter) Close() error {
	var errs error
	for _, file := range s.runs {
		errs = errors.Join(errs, file.Close(), os.Remove(file.Name()))
	}
	s.entries, s.runs = nil, nil
	if errs != nil {
		return fmt.Errorf("delete files of sorting: %w", errs)
	}
	return nil
}

// run is one sorted sequence and its first entry.
type run struct {
	entry Entry
	next  func() (Entry, error)
	age   int
}

// step goes on to the next entry and reports whether there is one.
func (r *run) step() (more bool, err error) {
	r.entry, err = r.next()
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("sort vulnerability data: %w", err)
	}
	return true, nil
}

func memoryRun(entries []Entry) func() (Entry, error) {
	return func() (Entry, error) {
		if len(entries) == 0 {
			return Entry{}, io.EOF
		}
		first := entries[0]
		entries = entries[1:]
		return first, nil
	}
}

func fileRun(file *os.File) func() (Entry, error) {
	in := bufio.NewReaderSize(file, 1<<18)
	ecosystem := ""
	return func() (Entry, error) {
		part, err := in.ReadByte()
		if err != nil {
			return Entry{}, err // the end is here
		}
		var sizes [3]uint64
		for i := range sizes {
			if sizes[i], err = binary.ReadUvarint(in); err != nil {
				return Entry{}, noEnd(err)
			}
		}
		text := make([]byte, sizes[0]+sizes[1]+sizes[2])
		if _, err := io.ReadFull(in, text); err != nil {
			return Entry{}, noEnd(err)
		}
		if name := text[:sizes[0]]; string(name) != ecosystem {
			ecosystem = string(name)
		}
		text = text[sizes[0]:]
		return Entry{ecosystem, part, text[:sizes[1]:sizes[1]], text[sizes[1]:]}, nil
	}
}

// noEnd says that a file ended where it must not.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// runs is a heap: the run with the first entry on top, the older one where two have the same.
type runs []*run

func (r runs) Len() int      { return len(r) }
func (r runs) Swap(i, j int) { r[i], r[j] = r[j], r[i] }
func (r runs) Less(i, j int) bool {
	if c := r[i].entry.compare(&r[j].entry); c != 0 {
		return c < 0
	}
	return r[i].age < r[j].age
}
func (r *runs) Push(any) {} // none comes later

func (r *runs) Pop() any {
	old := *r
	last := old[len(old)-1]
	*r = old[:len(old)-1]
	return last
}
