package registry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/perceptor/perceptor/model"
)

// streams is how many layers one pull fetches at a time.
const streams = 4

// PullRequest says what to pull and where to.
type PullRequest struct {
	// Digest is the platform manifest.
	Digest model.Digest
	// Names are the places to pull it from. They are tried in order until one works, whatever way the others fail.
	Names []model.Name
	// Tar is the file to write, a docker-archive. It appears whole or not at all.
	Tar string
}

// Pulled is what a pull did.
type Pulled struct {
	// Name is the one that worked.
	Name model.Name
	// Layers is the number of layers in the manifest.
	Layers int
	// Bytes is how much of layers came over the wire for this pull; what was in the cache, or was being fetched by
	// another pull, counts as nothing.
	Bytes int64
	// Size is the sum of the compressed layers and the config in bytes.
	Size int64
}

// Pull fetches an image into a tar. Progress, which may be nil, is called at the start, while layers arrive and at
// the end, from one goroutine at a time; Done never falls.
func (c *Client) Pull(ctx context.Context, request PullRequest, progress func(Progress)) (Pulled, error) {
	reference := string(request.Digest)
	if len(request.Names) > 0 {
		reference = request.Names[0].Pinned(request.Digest)
	}
	if err := request.check(); err != nil {
		return Pulled{}, explain(ctx, "pull", reference, "", err)
	}
	var first *Error
	for _, from := range request.Names {
		pulled, err := c.pull(ctx, request, from, progress)
		if err == nil {
			return pulled, nil
		}
		failure := explain(ctx, "pull", from.Pinned(request.Digest), from.Credential, err)
		first = heavier(first, failure)
		if endsPull(ctx, failure) {
			break
		}
	}
	if others := len(request.Names) - 1; others > 0 {
		first.reason += fmt.Sprintf("; other names tried without success: %d", others)
	}
	return Pulled{}, first
}

// heavier is the one of two failures that says more of what can be done; the first one of equals, and the second where there is
// no first.
func heavier(first, second *Error) *Error {
	if first == nil || weight(second.Class) > weight(first.Class) {
		return second
	}
	return first
}

// weight orders the failures of several names: what passes by itself comes first, since the whole pull may then work later;
// then what a person can change; an image that is not there comes last.
func weight(class model.FailureClass) int {
	switch {
	case class.Temporary():
		return 3
	case class == model.Unauthorized:
		return 2
	case class == model.NotFound:
		return 0
	default:
		return 1
	}
}

// endsPull reports whether no other name can help: the caller stopped, or this machine is what fails.
func endsPull(ctx context.Context, failure *Error) bool {
	return ctx.Err() != nil || slices.Contains([]kind{stopped, noSpace, disk}, failure.kind)
}

func (r PullRequest) check() error {
	if _, err := model.ParseDigest(string(r.Digest)); err != nil || !strings.HasPrefix(string(r.Digest), "sha256:") {
		return faultf(badReference, "%.80q is not a digest; write sha256:<64 hexadecimal digits>", string(r.Digest))
	}
	if len(r.Names) == 0 {
		return faultf(badReference, "no name is known to pull it from")
	}
	if !filepath.IsAbs(r.Tar) {
		return faultf(badReference, "the tar's path %q is not absolute", r.Tar)
	}
	return nil
}

func (c *Client) pull(ctx context.Context, request PullRequest, from model.Name, progress func(Progress)) (Pulled, error) {
	repo, err := parseRepository(from.Repository, c.options.Hosts)
	if err != nil {
		return Pulled{}, err
	}
	var pulled Pulled
	err = c.withLogins(ctx, repo, from.Credential, func(src *source) error {
		var err error
		pulled, err = c.pullFrom(ctx, src, request, from, progress)
		return err
	})
	return pulled, err
}

func (c *Client) pullFrom(ctx context.Context, src *source, request PullRequest, from model.Name, progress func(Progress)) (Pulled, error) {
	doc, err := src.manifest(ctx, string(request.Digest))
	if err != nil {
		return Pulled{}, err
	}
	img, err := src.image(ctx, doc)
	if err != nil {
		return Pulled{}, err
	}
	t := newTally(img, progress, c.pace.tick)
	defer t.stop()
	if err := c.assemble(ctx, src, img, archive{path: request.Tar, reference: tagged(from)}, t); err != nil {
		return Pulled{}, err
	}
	t.finish()
	return Pulled{Name: from, Layers: len(img.manifest.Layers), Bytes: t.received.Load(), Size: img.size()}, nil
}

func tagged(n model.Name) string {
	if n.Tag == "" {
		return ""
	}
	return n.Reference()
}

// assemble gets the layers and writes the tar, with room made and promised before.
func (c *Client) assemble(ctx context.Context, src *source, img *contents, a archive, t *tally) error {
	layers := held{}
	defer func() {
		layers.close()
		// The image is complete or has failed for its own reason; a cache that cannot be trimmed stops the next pull.
		_ = c.trim(0)
	}()
	missing, err := c.present(ctx, img.unique, layers, t)
	if err != nil {
		return err
	}
	if err := c.trim(total(missing)); err != nil {
		return err
	}
	release, err := c.room.claim([]need{
		{dir: c.options.CacheDir, bytes: total(missing), evictable: true}, {dir: filepath.Dir(a.path), bytes: a.size(img)},
	}, c.evict)
	if err != nil {
		return err
	}
	defer release()
	if err := c.bring(ctx, src, missing, layers, t); err != nil {
		return err
	}
	return a.write(ctx, img, layers)
}

// Claim promises room for that many bytes in the file path, beside what pulls have been promised, and makes room as a pull does. Release
// gives it back.
func (c *Client) Claim(ctx context.Context, path string, bytes int64) (release func(), err error) {
	release, err = c.room.claim([]need{{dir: c.options.CacheDir, evictable: true}, {dir: filepath.Dir(path), bytes: bytes}}, c.evict)
	if err != nil {
		return nil, explain(ctx, "make room for", path, "", err)
	}
	return release, nil
}

// present holds the layers that are in the cache and returns those that are not.
func (c *Client) present(ctx context.Context, layers []v1.Descriptor, into held, t *tally) ([]v1.Descriptor, error) {
	var missing []v1.Descriptor
	for _, d := range layers {
		file, err := c.cache.open(ctx, d)
		if err != nil {
			return nil, err
		}
		if file == nil {
			missing = append(missing, d)
			continue
		}
		into[d.Digest] = file
		t.arrived(d)
	}
	return missing, nil
}

// bring fetches the missing layers, a few at a time; the first failure stops the others.
func (c *Client) bring(ctx context.Context, src *source, missing []v1.Descriptor, into held, t *tally) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(streams)
	files := make([]*os.File, len(missing))
	for i, d := range missing {
		group.Go(func() error {
			file, err := c.layer(ctx, src, d, t)
			files[i] = file
			return err
		})
	}
	err := group.Wait()
	for i, file := range files {
		if file != nil {
			into[missing[i].Digest] = file
		}
	}
	return err
}

// trim keeps the cache within its limit, with bytes to come.
func (c *Client) trim(coming int64) error {
	if c.options.CacheLimit == 0 {
		return nil
	}
	return c.cache.shrink(max(0, c.options.CacheLimit-coming))
}

// evict frees bytes for something more useful than an old layer. What others can make again goes first.
func (c *Client) evict(short int64) error {
	if c.beside != nil {
		before, err := c.beside.Size()
		if err != nil {
			return err
		}
		if err := c.beside.Shrink(max(0, before-short), nil); err != nil {
			return err
		}
		after, err := c.beside.Size()
		if err != nil {
			return err
		}
		if short -= before - after; short <= 0 {
			return nil
		}
	}
	size, err := c.cache.Size()
	if err != nil {
		return err
	}
	return c.cache.shrink(max(0, size-short))
}

// held are layers that cannot be evicted.
type held map[v1.Hash]*os.File

func (h held) close() {
	var errs []error
	for _, file := range h {
		errs = append(errs, file.Close())
	}
	// The files were only read: there is nothing to lose in closing them.
	_ = errors.Join(errs...)
}
