package osv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/perceptor/perceptor/internal/hub/builtin/fetch"
	"github.com/perceptor/perceptor/model"
)

// Options say how records are read. The zero value reads every ecosystem and reports to no one.
type Options struct {
	// Progress is called after every record and every part of a download, on the caller's goroutine; it must be quick.
	Progress func(Progress)
	// Malformed is called for every record that is skipped, with an *Error that names its file and what is wrong in it.
	Malformed func(error)
	// Archive is called with the ecosystem before the records of an archive that holds all of it, as "<ecosystem>/all.zip"
	// does, and with an empty text after them.
	Archive func(ecosystem string) error
	// Ecosystems are the folders to read below a web address that is no archive itself; empty means Ecosystems().
	Ecosystems []string
	// Client fetches; nil means one of our own. Its redirects are checked as the address itself is.
	Client *http.Client
	// TempDir holds the one archive being fetched; empty means the system's.
	TempDir string
	// Stall is how long a download may stand still before it is given up; 0 means a minute.
	Stall time.Duration
}

// Progress is how far reading is.
type Progress struct {
	// Name is the archive or folder at hand.
	Name string
	// Downloading is true while the archive is fetched, false while it is read.
	Downloading bool
	// Done and Total are bytes of this step; Total is 0 when the server does not say.
	Done, Total int64
	Summary
}

// Summary counts what was read.
type Summary struct {
	// Records were handed on; Malformed were skipped and reported.
	Records, Malformed int
}

// Source is one place records come from.
type Source struct {
	from     string
	opts     Options
	archives []string // web addresses, in the order they are read
	folder   bool
	summary  Summary
	// buffer holds one record of an archive at a time.
	buffer bytes.Buffer
}

// Open looks at a place records can be read from: a web address of a zip, a web address below which each ecosystem has its
// "<Ecosystem>/all.zip" as OSV's own bucket does, a folder of JSON files and zips, a zip, or one JSON file. Nothing is
// fetched before Each. The error is an *Error.
func Open(ctx context.Context, from string, opts Options) (*Source, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open OSV records: %w", err)
	}
	if len(opts.Ecosystems) == 0 {
		opts.Ecosystems = Ecosystems()
	}
	s := &Source{from: from, opts: opts}
	if strings.Contains(from, "://") {
		archives, err := archivesAt(from, opts.Ecosystems)
		s.archives = archives
		return s, err
	}
	info, err := os.Stat(from)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, &Error{Class: model.NotFound, Where: from, Problem: "no such file or folder"}
	case err != nil:
		return nil, &Error{Class: model.Invalid, Where: from, Problem: "cannot be opened", Err: err}
	case info.IsDir():
		s.folder = true
	case !info.Mode().IsRegular():
		return nil, &Error{Class: model.Invalid, Where: from, Problem: "neither a file nor a folder"}
	}
	return s, nil
}

// taker is given the text of one record at a time and the name of its file. It must not keep the text.
type taker func(name string, text []byte) error

// Each hands every readable record to the function, once for each time it is published there. Malformed records are
// skipped and reported. It stops at the first error of the function, which it wraps, and at the first damage to an archive
// or a download, which is an *Error: what was handed on until then is not all there is. A source without a single record
// is an error too.
func (s *Source) Each(ctx context.Context, yield func(Record) error) (Summary, error) {
	return s.run(ctx, func(name string, text []byte) error {
		r, err := Parse(text)
		if err != nil {
			s.malformed(name, err)
			return nil
		}
		s.summary.Records++
		if err := yield(r); err != nil {
			return fmt.Errorf("take record %s: %w", r.ID, err)
		}
		return nil
	})
}

// Texts is as Each, but hands on the text of every record and the name of its file without reading it, for passing it on. The function must not keep
// it. Malformed records are handed on as well, and counted as records.
func (s *Source) Texts(ctx context.Context, yield func(name string, text []byte) error) (Summary, error) {
	return s.run(ctx, func(name string, text []byte) error {
		s.summary.Records++
		if err := yield(name, text); err != nil {
			return fmt.Errorf("pass on %s: %w", name, err)
		}
		return nil
	})
}

func (s *Source) run(ctx context.Context, take taker) (Summary, error) {
	s.summary = Summary{}
	err := s.each(ctx, take)
	if err == nil && s.summary.Records == 0 {
		err = &Error{Class: model.Invalid, Where: s.name(), Problem: fmt.Sprintf("holds no OSV record (%d malformed)", s.summary.Malformed)}
	}
	return s.summary, err
}

func (s *Source) each(ctx context.Context, take taker) error {
	if s.folder {
		return s.readFolder(ctx, take)
	}
	if len(s.archives) == 0 {
		file, err := os.Open(s.from)
		if err != nil {
			return &Error{Class: model.Invalid, Where: s.from, Problem: "cannot be opened", Err: err}
		}
		defer file.Close() //nolint:errcheck // only read
		return s.readFile(ctx, file, s.from, take)
	}
	for _, address := range s.archives {
		if err := s.readAddress(ctx, address, take); err != nil {
			return err
		}
	}
	return nil
}

// name is the source as it may be shown.
func (s *Source) name() string {
	if len(s.archives) > 0 {
		return fetch.Bare(s.from)
	}
	return s.from
}

func (s *Source) progress(p Progress) {
	if s.opts.Progress == nil {
		return
	}
	p.Summary = s.summary
	s.opts.Progress(p)
}

func (s *Source) malformed(name string, err error) {
	s.summary.Malformed++
	if s.opts.Malformed == nil {
		return
	}
	if typed, is := errors.AsType[*Error](err); is {
		named := *typed
		named.Where = name
		s.opts.Malformed(&named)
		return
	}
	s.opts.Malformed(&Error{Class: model.Invalid, Where: name, Problem: "not readable", Err: err})
}
