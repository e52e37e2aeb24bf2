package osv

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"

	"github.com/perceptor/perceptor/internal/hub/builtin/fetch"
	"github.com/perceptor/perceptor/model"
)

// MaxArchive is the most bytes an archive may have; OSV's archive of all ecosystems has about 1 GB.
const MaxArchive = 16 << 30

// archivesAt is the list of archives a web address stands for.
func archivesAt(from string, ecosystems []string) ([]string, error) {
	address, err := url.Parse(from)
	if err != nil {
		return nil, &Error{Class: model.Invalid, Where: "web address", Problem: "not readable; want https://host/path"}
	}
	if err := fetch.Check(address); err != nil {
		return nil, refusedAddress(err)
	}
	if isZip(address.Path) {
		return []string{from}, nil
	}
	archives := make([]string, 0, len(ecosystems))
	for _, ecosystem := range ecosystems {
		archives = append(archives, address.JoinPath(ecosystem, "all.zip").String())
	}
	return archives, nil
}

// readAddress fetches one archive into a temporary folder, reads it, and removes the folder.
func (s *Source) readAddress(ctx context.Context, address string, take taker) error {
	folder, err := os.MkdirTemp(s.opts.TempDir, "osv-*")
	if err != nil {
		return &Error{Class: model.OutOfSpace, Where: fetch.Bare(address), Problem: "no temporary file to fetch it into", Err: err}
	}
	defer os.RemoveAll(folder) //nolint:errcheck // nothing else can be done about it
	path := filepath.Join(folder, "all.zip")
	client := fetch.New(fetch.Options{Client: s.opts.Client, Stall: s.opts.Stall})
	_, err = client.File(ctx, address, path, fetch.Tag{}, MaxArchive, func(done, total int64) {
		s.progress(Progress{Name: fetch.Bare(address), Downloading: true, Done: done, Total: total})
	})
	if err != nil {
		return refusedAddress(err)
	}
	file, err := os.Open(path)
	if err != nil {
		return &Error{Class: model.OutOfSpace, Where: fetch.Bare(address), Problem: "the fetched file cannot be opened", Err: err}
	}
	defer file.Close() //nolint:errcheck // only read
	return s.readFile(ctx, file, fetch.Bare(address), take)
}

// refusedAddress makes an *Error of one of fetching.
func refusedAddress(err error) error {
	if typed, is := errors.AsType[*fetch.Error](err); is {
		return &Error{Class: typed.Class, Where: typed.Where, Problem: typed.Problem, Retry: typed.Retry, Err: typed.Err}
	}
	return err
}
