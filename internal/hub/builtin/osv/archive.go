package osv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zip"

	"github.com/perceptor/perceptor/model"
)

// The bounds of one archive, ten times what OSV's archive of all ecosystems needs today.
const (
	maxEntries  = 8_000_000
	maxUnpacked = 128 << 30
)

// readFolder reads every JSON file and zip of a folder and those below it. Links are not followed.
func (s *Source) readFolder(ctx context.Context, take taker) error {
	root, err := os.OpenRoot(s.from)
	if err != nil {
		return &Error{Class: model.Invalid, Where: s.from, Problem: "cannot be opened", Err: err}
	}
	defer root.Close() //nolint:errcheck // only read
	var names []string
	progress := Progress{Name: s.from}
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !entry.Type().IsRegular() || !isJSON(name) && !isZip(name) {
			return ctx.Err()
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		names = append(names, name)
		progress.Total += info.Size()
		return ctx.Err()
	})
	for i := 0; err == nil && i < len(names); i++ {
		err = s.readInFolder(ctx, root, names[i], &progress, take)
	}
	return wrapped(s.from, err)
}

func (s *Source) readInFolder(ctx context.Context, root *os.Root, name string, progress *Progress, take taker) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	file, err := root.Open(name)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // only read
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if isZip(name) {
		// A zip reports its own progress, by its own size.
		err = s.readFile(ctx, file, path.Join(s.from, name), take)
	} else {
		err = s.readOne(file, name, take)
	}
	progress.Done += info.Size()
	s.progress(*progress)
	return err
}

// readFile reads an archive or, by its name, one record.
func (s *Source) readFile(ctx context.Context, file *os.File, name string, take taker) error {
	if isJSON(name) {
		return wrapped(name, s.readOne(file, name, take))
	}
	info, err := file.Stat()
	if err != nil {
		return wrapped(name, err)
	}
	archive, err := zip.NewReader(file, info.Size())
	if err != nil {
		return &Error{
			Class: model.Invalid, Where: name, Err: err,
			Problem: fmt.Sprintf("not a whole zip archive (%d bytes): cut off or damaged; fetch it again", info.Size()),
		}
	}
	if len(archive.File) > maxEntries {
		return &Error{Class: model.Invalid, Where: name, Problem: fmt.Sprintf("%d files are more than %d", len(archive.File), maxEntries)}
	}
	ecosystem := wholeEcosystem(name)
	if ecosystem == "" || s.opts.Archive == nil {
		return wrapped(name, s.readEntries(ctx, archive, name, take))
	}
	if err := s.opts.Archive(ecosystem); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	err = s.readEntries(ctx, archive, name, take)
	if err == nil {
		err = s.opts.Archive("")
	}
	return wrapped(name, err)
}

// wholeEcosystem is the ecosystem that an archive holds all of, by its name "<ecosystem>/all.zip" on disk or on the web;
// empty for any other archive, also for one of a single release.
func wholeEcosystem(name string) string {
	name = filepath.ToSlash(name)
	if path.Base(name) != "all.zip" {
		return ""
	}
	folder := path.Base(path.Dir(name))
	if plain, err := url.PathUnescape(folder); err == nil {
		folder = plain
	}
	if !slices.Contains(Ecosystems(), folder) {
		return ""
	}
	return folder
}

func (s *Source) readEntries(ctx context.Context, archive *zip.Reader, name string, take taker) error {
	progress := Progress{Name: name}
	for _, entry := range archive.File {
		progress.Total += size(entry.CompressedSize64)
	}
	var unpacked int64
	for _, entry := range archive.File {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !entry.FileInfo().IsDir() && isJSON(entry.Name) {
			n, err := s.readEntry(entry, take)
			if err != nil {
				return err
			}
			if unpacked += n; unpacked > maxUnpacked {
				return &Error{Class: model.Invalid, Where: name, Problem: fmt.Sprintf("unpacks to more than %d bytes", int64(maxUnpacked))}
			}
		}
		progress.Done += size(entry.CompressedSize64)
		s.progress(progress)
	}
	return nil
}

// readEntry answers how many bytes it unpacked. A record that is too long is malformed; one that cannot be unpacked means
// that the archive is damaged.
func (s *Source) readEntry(entry *zip.File, take taker) (int64, error) {
	stream, err := entry.Open()
	if err != nil {
		return 0, damaged(entry.Name, err)
	}
	defer stream.Close() //nolint:errcheck // only read
	s.buffer.Reset()
	n, err := s.buffer.ReadFrom(io.LimitReader(stream, MaxRecordSize+1))
	if err != nil {
		return 0, damaged(entry.Name, err)
	}
	return n, take(entry.Name, s.buffer.Bytes())
}

func (s *Source) readOne(file *os.File, name string, take taker) error {
	data, err := io.ReadAll(io.LimitReader(file, MaxRecordSize+1))
	if err != nil {
		return err
	}
	return take(name, data)
}

func damaged(entry string, err error) error {
	return &Error{Class: model.Invalid, Where: entry, Problem: "cannot be unpacked: the archive is damaged; fetch it again", Err: err}
}

// wrapped names the archive in errors that do not name it yet, and leaves cancelling and the caller's own errors alone.
func wrapped(name string, err error) error {
	var typed *Error
	var onPath *fs.PathError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &typed) && !strings.HasPrefix(typed.Where, name):
		return &Error{Class: typed.Class, Where: name, Retry: typed.Retry, Err: err}
	case errors.As(err, &onPath):
		return &Error{Class: model.Invalid, Where: name, Problem: "cannot be read", Err: err}
	}
	return fmt.Errorf("read %s: %w", name, err)
}

func isJSON(name string) bool { return hasExt(name, ".json") }
func isZip(name string) bool  { return hasExt(name, ".zip") }

// hasExt goes by the ending, and passes over what desktops hide beside the real files.
func hasExt(name, ext string) bool {
	return strings.EqualFold(path.Ext(name), ext) && !strings.HasPrefix(path.Base(name), ".")
}

// size is a size from a zip's directory, which may claim anything, as a count of bytes for showing.
func size(claimed uint64) int64 {
	const most = 1 << 40
	return int64(min(claimed, most))
}
