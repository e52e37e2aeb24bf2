package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/perceptor/perceptor/internal/diskcache"
)

// chunk is how much of a layer is in memory at a time.
const chunk = 256 << 10

// headway is how much a resumed layer must have grown for its tries to start over: a long layer on a bad line is
// worth more tries than a registry that sends nothing.
const headway = 8 << 20

// fetch brings one layer into the cache and returns it held, or nil when another process has just done so.
func (c *Client) fetch(ctx context.Context, src *source, d v1.Descriptor, flying *flight) (*os.File, error) {
	file, err := c.cache.Begin(ctx, d.Digest.Hex)
	if err != nil || file == nil {
		return nil, err
	}
	down := &download{src: src, layer: d, file: file, hash: sha256.New(), flight: flying}
	if err := down.run(ctx); err != nil {
		diskcache.Discard(file)
		return nil, fmt.Errorf("fetch layer %s: %w", d.Digest, err)
	}
	if err := c.cache.publish(file, d.Digest); err != nil {
		diskcache.Discard(file)
		return nil, fmt.Errorf("keep layer %s: %w", d.Digest, err)
	}
	return file, nil
}

// download is the state of one growing layer.
type download struct {
	src    *source
	layer  v1.Descriptor
	file   *os.File
	hash   hash.Hash
	flight *flight
	// at is how much of the layer is in the file and in the hash.
	at int64
}

func (d *download) run(ctx context.Context) error {
	for try, best := 1, int64(0); ; try++ {
		err := d.attempt(ctx)
		if err == nil {
			return nil
		}
		if d.at > best+headway {
			best, try = d.at, 1
		}
		if !d.src.mayRetry(ctx, err, try) {
			return d.src.asked(err)
		}
		if err := sleep(ctx, d.src.pace.delay(try)); err != nil {
			return err
		}
	}
}

// attempt gets what is missing of the layer and checks the whole.
func (d *download) attempt(ctx context.Context) error {
	resumed := d.at > 0
	if err := d.continueStream(ctx); err != nil {
		return err
	}
	got := hex.EncodeToString(d.hash.Sum(nil))
	if got == d.layer.Digest.Hex {
		return nil
	}
	if resumed {
		// Pieces that do not fit together say nothing of the layer: it is tried once more, in one piece.
		return errors.Join(&fault{kind: broken, reason: "the registry sent pieces of a layer that do not fit together"}, d.restart())
	}
	return faultf(mismatch, "the layer %s does not match its digest: the registry sent sha256:%s", d.layer.Digest, got)
}

func (d *download) continueStream(ctx context.Context) error {
	if d.at == d.layer.Size && d.at > 0 {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	resp, err := d.request(ctx)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // Nothing to learn from it after reading.
	if err := d.place(resp); err != nil {
		return err
	}
	watch := newWatch(d.src.pace.stall, cancel)
	defer watch.stop()
	return stallOr(ctx, d.copy(resp.Body, watch))
}

// request asks for the rest of the layer, or for all of it when the registry does not do parts.
func (d *download) request(ctx context.Context) (*http.Response, error) {
	path, what := "blobs/"+d.layer.Digest.String(), "layer "+d.layer.Digest.String()
	header := http.Header{}
	if d.at > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-%d", d.at, d.layer.Size-1))
	}
	resp, err := d.src.get(ctx, path, what, header, http.StatusOK, http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable)
	if err != nil || resp.StatusCode != http.StatusRequestedRangeNotSatisfiable {
		return resp, err
	}
	_ = resp.Body.Close()
	return d.src.get(ctx, path, what, http.Header{}, http.StatusOK)
}

// place makes file and hash fit what the registry is about to send.
func (d *download) place(resp *http.Response) error {
	if resp.StatusCode == http.StatusOK || !startsAt(resp.Header.Get("Content-Range"), d.at) {
		if resp.StatusCode != http.StatusOK {
			return errors.Join(&fault{kind: broken, reason: "the registry sent another part of a layer than it was asked for"}, d.restart())
		}
		if err := d.restart(); err != nil {
			return err
		}
	}
	switch announced := resp.ContentLength; {
	case announced > d.layer.Size-d.at:
		return d.tooLong()
	case announced >= 0 && announced < d.layer.Size-d.at:
		return faultf(mismatch, "the layer %s has %d bytes in the registry and %d in the manifest", d.layer.Digest, d.at+announced, d.layer.Size)
	}
	return nil
}

func startsAt(contentRange string, at int64) bool {
	span, found := strings.CutPrefix(contentRange, "bytes ")
	first, _, dashed := strings.Cut(span, "-")
	start, err := strconv.ParseInt(first, 10, 64)
	return found && dashed && err == nil && start == at
}

func (d *download) restart() error {
	if d.at == 0 {
		return nil
	}
	d.at = 0
	d.hash.Reset()
	if _, err := d.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return d.file.Truncate(0)
}

// copy reads to the end of the stream, or one byte beyond the layer's size.
func (d *download) copy(body io.Reader, watch *watch) error {
	buffer := make([]byte, chunk)
	for {
		n, err := body.Read(buffer)
		watch.alive()
		d.flight.received.Add(int64(n))
		if d.at+int64(n) > d.layer.Size {
			return d.tooLong()
		}
		if written := d.keep(buffer[:n]); written != nil {
			return written
		}
		switch {
		case errors.Is(err, io.EOF) && d.at < d.layer.Size:
			return brokenBody(io.ErrUnexpectedEOF, "layer "+d.layer.Digest.String())
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return brokenBody(err, "layer "+d.layer.Digest.String())
		}
	}
}

func (d *download) keep(piece []byte) error {
	if len(piece) == 0 {
		return nil
	}
	if _, err := d.file.Write(piece); err != nil {
		return err
	}
	_, _ = d.hash.Write(piece)
	d.at += int64(len(piece))
	if d.at > d.flight.got.Load() {
		d.flight.got.Store(d.at)
	}
	return nil
}

func (d *download) tooLong() error {
	return faultf(oversize, "the layer %s is longer than the %d bytes its manifest says", d.layer.Digest, d.layer.Size)
}

// brokenBody is a stream that ended before its time, whatever the connection calls that.
func brokenBody(err error, what string) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &fault{kind: broken, reason: "the connection broke off in the middle of the " + what, err: withoutAddress(err)}
}

// hashFile reads a whole file, from its beginning.
func hashFile(ctx context.Context, file *os.File) (v1.Hash, error) {
	digest := sha256.New()
	buffer := make([]byte, chunk)
	for at := int64(0); ; {
		if ctx.Err() != nil {
			return v1.Hash{}, ctx.Err()
		}
		n, err := file.ReadAt(buffer, at)
		_, _ = digest.Write(buffer[:n])
		at += int64(n)
		if errors.Is(err, io.EOF) {
			return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(digest.Sum(nil))}, nil
		}
		if err != nil {
			return v1.Hash{}, err
		}
	}
}
