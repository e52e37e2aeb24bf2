package feed

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/perceptor/perceptor/internal/hub/builtin/fetch"
	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/model"
)

// OSV is the address of OSV's own bucket.
const OSV = "https://osv-vulnerabilities.storage.googleapis.com"

// maxList bounds modified_id.csv; npm's, the longest, has about 10 MB.
const maxList = 256 << 20

// Options say where a bucket is.
type Options struct {
	// Base is the address of the folder with a folder for each ecosystem.
	Base string
	// Hosts are those that redirects may lead to, besides the base's own.
	Hosts []string
	// Directory keeps downloads that are not finished; it is made when missing.
	Directory string
	// Client fetches; nil means one of our own. Stall is how long a download may stand still; 0 means a minute.
	Client *http.Client
	Stall  time.Duration
}

// Bucket fetches from one address.
type Bucket struct {
	base      *url.URL
	directory string
	client    *fetch.Client
	bytes     atomic.Int64
}

// Open checks the address. Nothing is fetched.
func Open(o Options) (*Bucket, error) {
	base, err := url.Parse(o.Base)
	if err != nil {
		return nil, &Error{Class: model.Invalid, Problem: "address of the updates: not readable; want https://host/path"}
	}
	if err := fetch.Check(base); err != nil {
		return nil, fmt.Errorf("address of the updates: %w", err)
	}
	if err := os.MkdirAll(o.Directory, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder for updates: %w", err)
	}
	return &Bucket{
		base: base, directory: o.Directory,
		client: fetch.New(fetch.Options{Client: o.Client, Stall: o.Stall, OwnHost: true, Hosts: o.Hosts}),
	}, nil
}

// Base is the address, as it may be shown.
func (b *Bucket) Base() string { return fetch.Bare(b.base.String()) }

// Bytes is how much was received so far.
func (b *Bucket) Bytes() int64 { return b.bytes.Load() }

func (b *Bucket) address(parts ...string) string { return b.base.JoinPath(parts...).String() }

// Archive fetches all records of an ecosystem into a file, which the caller removes, unless they are those of the tag. A download
// that broke off before goes on.
func (b *Bucket) Archive(ctx context.Context, ecosystem string, have fetch.Tag, moved func(done, total int64)) (path string, answer fetch.Answer, err error) {
	if !slices.Contains(osv.Ecosystems(), ecosystem) {
		return "", fetch.Answer{}, &Error{Class: model.NotFound, Problem: fmt.Sprintf("%.40q is no ecosystem that is judged", ecosystem)}
	}
	path = filepath.Join(b.directory, url.PathEscape(ecosystem)+".zip")
	answer, err = b.client.File(ctx, b.address(ecosystem, "all.zip"), path, have, osv.MaxArchive, moved)
	b.bytes.Add(answer.Fetched)
	return path, answer, err
}

// Changes fetches the list of changes of an ecosystem, unless it is the one of the tag.
func (b *Bucket) Changes(ctx context.Context, ecosystem string, have fetch.Tag) (map[string]time.Time, fetch.Answer, error) {
	text, answer, err := b.client.Bytes(ctx, b.address(ecosystem, "modified_id.csv"), have, maxList)
	b.bytes.Add(answer.Fetched)
	if err != nil || answer.Unchanged {
		return nil, answer, err
	}
	changes, err := ParseChanges(text)
	return changes, answer, err
}

// Record fetches one record. Gone says that the source does not have it.
func (b *Bucket) Record(ctx context.Context, ecosystem, id string) (text []byte, gone bool, err error) {
	text, answer, err := b.client.Bytes(ctx, b.address(ecosystem, id+".json"), fetch.Tag{}, osv.MaxRecordSize)
	b.bytes.Add(answer.Fetched)
	if missing, is := errors.AsType[*fetch.Error](err); is && missing.Class == model.NotFound {
		return nil, true, nil
	}
	return text, false, err
}
