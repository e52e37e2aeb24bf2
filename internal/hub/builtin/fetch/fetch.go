package fetch

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // what Google Cloud Storage sends; TLS is what protects
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/perceptor/perceptor/model"
)

const (
	// defaultStall is how long a download may stand still.
	defaultStall = time.Minute
	// maxRedirects is half of what browsers allow: a mirror needs one or two.
	maxRedirects = 10
	// maxTag bounds an entity tag and a date, which are kept and sent back.
	maxTag = 200
)

// Options say how files are fetched. The zero value follows redirects to any host.
type Options struct {
	// Client fetches; nil means one of our own.
	Client *http.Client
	// Stall is how long a download may stand still before it is given up; 0 means a minute.
	Stall time.Duration
	// OwnHost forbids redirects to another host than that of the address; Hosts are those that are allowed all the same.
	OwnHost bool
	Hosts   []string
}

// Client fetches files.
type Client struct{ o Options }

// New makes a client.
func New(o Options) *Client {
	if o.Stall <= 0 {
		o.Stall = defaultStall
	}
	return &Client{o}
}

// Tag is what a server says of the state of a file, so that one can ask whether it changed. The zero value knows nothing.
type Tag struct {
	ETag     string `json:"etag,omitempty"`
	Modified string `json:"modified,omitempty"`
}

// Known reports whether there is anything to ask by.
func (t Tag) Known() bool { return t != Tag{} }

// strong reports whether the tag stands for the very bytes.
func (t Tag) strong() bool { return t.ETag != "" && !strings.HasPrefix(t.ETag, "W/") }

func tagOf(header http.Header) Tag {
	t := Tag{ETag: header.Get("ETag"), Modified: header.Get("Last-Modified")}
	if len(t.ETag) > maxTag {
		t.ETag = ""
	}
	if len(t.Modified) > maxTag {
		t.Modified = ""
	}
	return t
}

// Answer is what came of a request.
type Answer struct {
	// Unchanged says that the file is still the one of the tag that was sent; nothing was fetched.
	Unchanged bool
	Tag       Tag
	// Fetched is how many bytes were received now, Resumed how many were there from an earlier try.
	Fetched, Resumed int64
}

// Bytes fetches a file of at most that many bytes into memory.
func (c *Client) Bytes(ctx context.Context, address string, have Tag, most int64) ([]byte, Answer, error) {
	var into bytes.Buffer
	answer, err := c.get(ctx, address, have, &target{out: &into, most: most})
	return into.Bytes(), answer, err
}

// File fetches a file of at most that many bytes to a path. What an earlier try left at path+".part" is not fetched again where
// the server allows that. A file at path is replaced when the new one is whole, and its checksum is right if the server
// names one. Moved is called with the bytes that are there and the whole size, 0 when that is not known.
func (c *Client) File(ctx context.Context, address, path string, have Tag, most int64, moved func(done, total int64)) (Answer, error) {
	part, note := path+".part", path+".part.json"
	file, err := os.OpenFile(part, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return Answer{}, &Error{Class: model.OutOfSpace, Where: Bare(address), Problem: "no file to fetch it into", Err: err}
	}
	defer file.Close() //nolint:errcheck // closed below where it counts
	t := &target{out: file, file: file, note: note, most: most, moved: moved, address: address}
	if err := t.findStart(); err != nil {
		return Answer{}, &Error{Class: model.OutOfSpace, Where: Bare(address), Problem: "the file of an earlier try cannot be read", Err: err}
	}
	answer, err := c.get(ctx, address, have, t)
	if err != nil || answer.Unchanged {
		if answer.Unchanged || !answer.Tag.strong() || t.useless {
			_ = errors.Join(os.Remove(part), os.Remove(note)) // nothing can go on from it
		}
		return answer, err
	}
	if err := errors.Join(file.Sync(), file.Close(), os.Rename(part, path), os.RemoveAll(note)); err != nil {
		return answer, &Error{Class: model.OutOfSpace, Where: Bare(address), Problem: "the file cannot be kept", Err: err}
	}
	return answer, nil
}

// target is where a body goes.
type target struct {
	out     io.Writer
	file    *os.File // nil for memory
	note    string
	most    int64
	moved   func(done, total int64)
	address string
	// start is how many bytes are there, of the file that tag describes.
	start int64
	tag   Tag
	// useless says that what is there cannot be gone on with.
	useless bool
}

// partNote is what is kept beside a part of a file: which file it is a part of.
type partNote struct {
	Address string `json:"address"`
	Tag     Tag    `json:"tag"`
}

// findStart looks at what an earlier try left.
func (t *target) findStart() error {
	info, err := t.file.Stat()
	if err != nil {
		return err
	}
	var note partNote
	raw, err := os.ReadFile(t.note)
	if err == nil {
		err = json.Unmarshal(raw, &note)
	}
	if err != nil || note.Address != t.address || !note.Tag.strong() || info.Size() > t.most {
		return t.restart() // of another file, or of which one is not known
	}
	t.start, t.tag = info.Size(), note.Tag
	_, err = t.file.Seek(0, io.SeekEnd)
	return err
}

func (t *target) restart() error {
	t.start, t.tag = 0, Tag{}
	if t.file == nil {
		return nil
	}
	_, err := t.file.Seek(0, io.SeekStart)
	return errors.Join(err, t.file.Truncate(0))
}

// begin prepares for a body of the file of that tag.
func (t *target) begin(tag Tag) error {
	if t.file == nil || !tag.strong() {
		return nil
	}
	raw, err := json.Marshal(partNote{t.address, tag})
	if err != nil {
		return err
	}
	return os.WriteFile(t.note, raw, 0o600)
}

// get makes one request, and a second one when the server does not go on where the first try ended.
func (c *Client) get(ctx context.Context, address string, have Tag, t *target) (Answer, error) {
	u, err := url.Parse(address)
	if err != nil {
		return Answer{}, invalid("", "not readable; want https://host/path")
	}
	if err := Check(u); err != nil {
		return Answer{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// The clock runs from the start, so that it covers a server that accepts and never answers.
	clock := time.AfterFunc(c.o.Stall, cancel)
	defer clock.Stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return Answer{}, invalid(address, "no address that can be fetched")
	}
	request.Header.Set("Accept-Encoding", "identity") // sizes, ranges and checksums are of the file itself
	if have.ETag != "" {
		request.Header.Set("If-None-Match", have.ETag)
	}
	if have.Modified != "" {
		request.Header.Set("If-Modified-Since", have.Modified)
	}
	if t.start > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", t.start))
		request.Header.Set("If-Range", t.tag.ETag)
	}
	response, err := c.client(u).Do(request)
	if err != nil {
		return Answer{Tag: t.tag}, failed(address, err)
	}
	defer func() { _ = response.Body.Close() }()
	answer := Answer{Tag: tagOf(response.Header)}
	switch {
	case response.StatusCode == http.StatusNotModified && have.Known():
		answer.Unchanged = true
		return answer, nil
	case response.StatusCode == http.StatusRequestedRangeNotSatisfiable && t.start > 0:
		t.useless = true
		return Answer{}, &Error{Class: model.Transient, Where: Bare(address), Problem: "the part of an earlier try does not fit; it is fetched again"}
	case response.StatusCode == http.StatusPartialContent && t.start > 0:
		if !strings.HasPrefix(response.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", t.start)) || answer.Tag.ETag != "" && answer.Tag.ETag != t.tag.ETag {
			t.useless = true
			return Answer{}, &Error{Class: model.Transient, Where: Bare(address), Problem: "the server sent another part than was asked for"}
		}
		answer.Tag, answer.Resumed = t.tag, t.start
	case response.StatusCode != http.StatusOK:
		return Answer{Tag: t.tag}, refused(address, response.StatusCode, response.Header)
	default:
		if err := t.restart(); err != nil {
			return answer, failed(address, err)
		}
	}
	if coding := response.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return Answer{}, invalid(address, fmt.Sprintf("sent in the coding %.20q, which was not asked for", coding))
	}
	if err := t.begin(answer.Tag); err != nil {
		return answer, failed(address, err)
	}
	return c.receive(address, response, t, answer, func() { clock.Reset(c.o.Stall) })
}

// receive reads the body and holds it against its bounds and its checksum.
func (c *Client) receive(address string, response *http.Response, t *target, answer Answer, alive func()) (Answer, error) {
	total := int64(0)
	if response.ContentLength > 0 {
		total = t.start + response.ContentLength
	}
	if total > t.most {
		t.useless = true
		return answer, invalid(address, fmt.Sprintf("%d bytes are more than %d", total, t.most))
	}
	in := &body{stream: response.Body, moved: func(n int64) {
		alive()
		if t.moved != nil {
			t.moved(t.start+n, total)
		}
	}}
	n, err := io.Copy(t.out, io.LimitReader(in, t.most-t.start+1))
	answer.Fetched = n
	switch {
	case err != nil:
		return answer, failed(address, fmt.Errorf("after %d bytes: %w", n, err))
	case t.start+n > t.most:
		t.useless = true
		return answer, invalid(address, fmt.Sprintf("longer than %d bytes", t.most))
	}
	if problem := t.wrongSum(response.Header.Values("X-Goog-Hash")); problem != nil {
		t.useless = true
		return answer, &Error{Class: model.Transient, Where: Bare(address), Problem: "does not have the checksum that the server names", Err: problem}
	}
	return answer, nil
}

// wrongSum compares a file with the checksums that Google Cloud Storage sends; nil when they are right, or there are none.
func (t *target) wrongSum(named []string) error {
	want := map[string]string{}
	for _, header := range named {
		for each := range strings.SplitSeq(header, ",") {
			if name, sum, found := strings.Cut(strings.TrimSpace(each), "="); found {
				want[name] = sum
			}
		}
	}
	if t.file == nil || want["md5"] == "" && want["crc32c"] == "" {
		return nil
	}
	sums := map[string]hash.Hash{"md5": md5.New(), "crc32c": crc32.New(crc32.MakeTable(crc32.Castagnoli))} //nolint:gosec // see the import
	if _, err := t.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.Copy(io.MultiWriter(sums["md5"], sums["crc32c"]), t.file); err != nil {
		return err
	}
	for name, sum := range sums {
		if is := base64.StdEncoding.EncodeToString(sum.Sum(nil)); want[name] != "" && want[name] != is {
			return fmt.Errorf("%s is %s", name, is)
		}
	}
	return nil
}

// body tells how many bytes came through.
type body struct {
	stream io.Reader
	done   int64
	moved  func(done int64)
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.stream.Read(p)
	if n > 0 {
		b.done += int64(n)
		b.moved(b.done)
	}
	return n, err
}

// client is the caller's or a new one, with every redirect held to the rules of the first address.
func (c *Client) client(first *url.URL) *http.Client {
	client := http.Client{}
	if c.o.Client != nil {
		client = *c.o.Client
	}
	client.CheckRedirect = func(request *http.Request, via []*http.Request) error {
		if len(via) >= maxRedirects {
			return invalid(request.URL.String(), fmt.Sprintf("more than %d redirects", maxRedirects))
		}
		if host := request.URL.Host; c.o.OwnHost && host != first.Host && !slices.Contains(c.o.Hosts, host) {
			return invalid(request.URL.String(), "is another host, and redirects to it are not allowed")
		}
		return Check(request.URL)
	}
	return &client
}
