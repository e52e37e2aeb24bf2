package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"runtime"
	"slices"
	"time"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/internal/hub/builtin/store"
)

const archiveKey = `{"perceptor:archive":`

// ArchiveLine is a line between records. It says that the records after it are all there are of an ecosystem, without a
// release in its name. They count for this ecosystem only, whatever else they name. An empty name ends that.
func ArchiveLine(ecosystem string) []byte {
	name, _ := json.Marshal(ecosystem) // a text is always written
	return append(append([]byte(archiveKey), name...), '}')
}

// archiveOf reads an ArchiveLine and reports whether the line is one.
func archiveOf(raw []byte) (ecosystem string, is bool) {
	if !bytes.HasPrefix(raw, []byte(archiveKey)) {
		return "", false
	}
	var line map[string]string
	if json.Unmarshal(raw, &line) != nil {
		return "", false
	}
	return line["perceptor:archive"], true
}

// understood is what one line of the input turned out to be.
type understood struct {
	line int
	// err ends the input; the rest is empty then.
	err error
	// marker says that the line is an ArchiveLine; archive is the one that the line belongs to, or that it names.
	marker  bool
	archive string
	// malformed says why the line is no record, and id what it is called nevertheless.
	malformed error
	id        string
	// record is filed under its ecosystems with these entries.
	record     osv.Record
	ecosystems []string
	entries    []store.Entry

	raw []byte
}

const (
	// chunkLines and chunkBytes bound how many lines are given to a goroutine at a time.
	chunkLines = 64
	chunkBytes = 1 << 20
)

// understood yields what the lines of the input are, in their order. Several goroutines read them ahead, within bounds.
func (l *loader) understood(ctx context.Context, records iter.Seq2[[]byte, error]) iter.Seq[understood] {
	return func(yield func(understood) bool) {
		ctx, cancel := context.WithCancel(ctx)
		readers := runtime.GOMAXPROCS(0)
		work := make(chan chunk, readers)
		inOrder := make(chan chunk, 2*readers)
		ended := make(chan struct{})
		defer func() {
			cancel()
			<-ended // the input must not be read after its caller has left
		}()
		for range readers {
			go func() {
				for each := range work {
					for i := range each.lines {
						l.understand(&each.lines[i])
					}
					close(each.done)
				}
			}()
		}
		go func() {
			defer close(ended)
			defer close(inOrder)
			defer close(work)
			l.divide(ctx, records, func(each chunk) bool {
				select {
				case work <- each:
				case <-ctx.Done():
					return false
				}
				select {
				case inOrder <- each:
					return true
				case <-ctx.Done():
					return false
				}
			})
		}()
		for each := range inOrder {
			<-each.done
			for _, one := range each.lines {
				if !yield(one) {
					return
				}
			}
		}
	}
}

// chunk is some lines of the input; done is closed when all of them are understood.
type chunk struct {
	lines []understood
	done  chan struct{}
}

// divide cuts the input into chunks until the function returns false. Empty lines count and are left out.
func (l *loader) divide(ctx context.Context, records iter.Seq2[[]byte, error], give func(chunk) bool) {
	var lines []understood
	size, line, archive := 0, 0, ""
	flush := func() bool {
		next := chunk{lines: lines, done: make(chan struct{})}
		lines, size = nil, 0
		return len(next.lines) == 0 || give(next)
	}
	for raw, err := range records {
		line++
		if err = errors.Join(err, ctx.Err(), l.context.Err()); err != nil {
			lines = append(lines, understood{line: line, err: err})
			break
		}
		if len(raw) == 0 {
			continue
		}
		one := understood{line: line, archive: archive}
		if named, is := archiveOf(raw); is {
			archive = named
			one.archive, one.marker = named, true
		} else {
			one.raw = bytes.Clone(raw) // the next line overwrites it
		}
		lines = append(lines, one)
		if size += len(raw); len(lines) >= chunkLines || size >= chunkBytes {
			if !flush() {
				return
			}
		}
	}
	flush()
}

// understand parses one line and decides where the record is filed.
func (l *loader) understand(one *understood) {
	if one.marker || one.err != nil {
		return
	}
	raw := one.raw
	one.raw = nil
	record, err := osv.Parse(raw)
	if err != nil {
		var named struct {
			ID string `json:"id"`
		}
		_ = json.Unmarshal(raw, &named) // a record too broken for its id is named by its line
		one.malformed, one.id = err, named.ID
		return
	}
	one.record, one.ecosystems = record, l.ecosystemsOf(record, one.archive)
	for _, base := range one.ecosystems {
		entries, err := store.EntriesOf(base, record, time.Time{})
		if err != nil {
			one.err = err
			return
		}
		one.entries = append(one.entries, entries...)
	}
	// What is filed is not needed any more.
	one.record.Affected = nil
}

// ecosystemsOf decides which ecosystems a record belongs to.
func (l *loader) ecosystemsOf(record osv.Record, archive string) []string {
	var bases []string
	for _, key := range osv.KeysOf(record) {
		base := osv.Base(key.Ecosystem)
		if !slices.Contains(bases, base) && (archive == "" || archive == base) {
			bases = append(bases, base)
		}
	}
	if len(bases) == 0 { // a withdrawn one, or one of an archive under another name
		bases = []string{archive}
	}
	if l.options.Sample {
		bases = slices.DeleteFunc(bases, func(base string) bool {
			held, there := l.before.Ecosystems[base]
			return there && !held.Sample
		})
	}
	return bases
}
