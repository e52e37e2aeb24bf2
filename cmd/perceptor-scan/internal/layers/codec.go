package layers

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/anchore/stereoscope/pkg/file"
)

// A kept layer is one file: the tar, the content of files with holes, the index, and a foot of fixed length.
//
//	magic | version of what made the index | digest of the tar | lengths of tar, holes, index | sum of contents | sum of index and foot
const (
	footMagic = "perceptor layer 1\n"
	// maxIndex bounds the index of a layer, in bytes. Ordinary layers take some fifty bytes for each entry.
	maxIndex = 512 << 20
)

const footSize = len(footMagic) + 4*8 + 3*sha256.Size

// errDamaged is a kept layer that is not what was written.
var errDamaged = errors.New("the kept layer is damaged")

// maker is the sum of all that decides what an index says. An index of another program is not used.
var maker = sync.OnceValue(func() [sha256.Size]byte {
	parts := []string{footMagic, runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, each := range info.Deps {
			if strings.HasPrefix(each.Path, "github.com/anchore/") || strings.Contains(each.Path, "mimetype") {
				parts = append(parts, each.Path, each.Version, each.Sum)
			}
		}
	}
	return sha256.Sum256([]byte(strings.Join(parts, "\n")))
})

// write writes the index and the foot behind the contents.
func (l *Layer) write(to *os.File) error {
	index := l.encode()
	digest, err := hex.DecodeString(strings.TrimPrefix(l.Digest, "sha256:"))
	if err != nil || len(digest) != sha256.Size {
		return fmt.Errorf("keep a layer: %q is no digest", l.Digest)
	}
	foot := append([]byte(footMagic), func() []byte { m := maker(); return m[:] }()...)
	foot = append(foot, digest...)
	for _, n := range []int64{l.tar, l.extra, int64(len(index)), l.Contents} {
		foot = binary.BigEndian.AppendUint64(foot, uint64(n)) //nolint:gosec // lengths
	}
	sum := sha256.Sum256(append(bytes.Clone(index), foot...))
	if _, err := to.WriteAt(append(append(index, foot...), sum[:]...), l.tar+l.extra); err != nil {
		return fmt.Errorf("keep a layer: %w", err)
	}
	return nil
}

// open reads the index of a kept layer. It has not looked at the contents.
func open(from *os.File) (*Layer, error) {
	info, err := from.Stat()
	if err != nil {
		return nil, err
	}
	return decodeFile(from, info.Size(), from)
}

func decodeFile(from io.ReaderAt, size int64, contents *os.File) (*Layer, error) {
	if size < int64(footSize) {
		return nil, fmt.Errorf("%w: it has %d bytes", errDamaged, size)
	}
	foot := make([]byte, footSize)
	if _, err := from.ReadAt(foot, size-int64(footSize)); err != nil {
		return nil, fmt.Errorf("read a kept layer: %w", err)
	}
	want := maker()
	rest, isOurs := bytes.CutPrefix(foot, append([]byte(footMagic), want[:]...))
	if !isOurs {
		return nil, fmt.Errorf("%w: another program has written it", errDamaged)
	}
	digest, rest := rest[:sha256.Size], rest[sha256.Size:]
	var lengths [4]int64
	for i := range lengths {
		lengths[i] = int64(binary.BigEndian.Uint64(rest)) //nolint:gosec // checked below
		rest = rest[8:]
	}
	l := &Layer{Digest: "sha256:" + hex.EncodeToString(digest), tar: lengths[0], extra: lengths[1], Contents: lengths[3], file: contents}
	index := lengths[2]
	const most = 1 << 62
	if l.tar < 0 || l.extra < 0 || index < 0 || l.tar > most/2 || l.extra > maxSparse || index > maxIndex || l.tar+l.extra+index+int64(footSize) != size {
		return nil, fmt.Errorf("%w: its parts do not add up", errDamaged)
	}
	raw := make([]byte, index)
	if _, err := from.ReadAt(raw, l.tar+l.extra); err != nil {
		return nil, fmt.Errorf("read a kept layer: %w", err)
	}
	sum := sha256.New()
	_, _ = sum.Write(raw)
	_, _ = sum.Write(foot[:footSize-sha256.Size])
	if !bytes.Equal(sum.Sum(nil), rest) {
		return nil, fmt.Errorf("%w: its index does not match its sum", errDamaged)
	}
	var err error
	if l.Entries, err = decode(raw, l.tar+l.extra); err != nil {
		return nil, err
	}
	return l, nil
}

// encode writes the entries down.
func (l *Layer) encode() []byte {
	out := binary.AppendUvarint(nil, uint64(len(l.Entries)))
	text := func(s string) {
		out = binary.AppendUvarint(out, uint64(len(s)))
		out = append(out, s...)
	}
	for i := range l.Entries {
		e := &l.Entries[i]
		text(e.Path)
		text(e.Link)
		text(e.MIME)
		out = append(out, byte(e.Type), byte(e.Traits)) //nolint:gosec // there are nine types
		out = binary.AppendUvarint(out, uint64(e.Mode))
		for _, n := range []int64{int64(e.UID), int64(e.GID), e.Size, e.Modified, e.Offset} {
			out = binary.AppendVarint(out, n)
		}
	}
	return out
}

// decoder reads an index. After the first thing that is wrong it reads nothing.
type decoder struct {
	raw  []byte
	text string
	at   int
	bad  bool
}

func (d *decoder) uvarint() uint64 {
	n, width := binary.Uvarint(d.raw[d.at:])
	if width <= 0 {
		d.bad, d.at = true, len(d.raw)
		return 0
	}
	d.at += width
	return n
}

func (d *decoder) varint() int64 {
	n, width := binary.Varint(d.raw[d.at:])
	if width <= 0 {
		d.bad, d.at = true, len(d.raw)
		return 0
	}
	d.at += width
	return n
}

// string is a part of one text that all entries share.
func (d *decoder) string(most int) string {
	n := d.uvarint()
	if n > uint64(most) || n > uint64(len(d.raw)-d.at) { //nolint:gosec // both are lengths
		d.bad, d.at = true, len(d.raw)
		return ""
	}
	start := d.at
	d.at += int(n) //nolint:gosec // checked above
	return d.text[start:d.at]
}

func (d *decoder) byte() byte {
	if d.at >= len(d.raw) {
		d.bad = true
		return 0
	}
	d.at++
	return d.raw[d.at-1]
}

// leastEntry is how many bytes an entry takes at least.
const leastEntry = 11

// maxMIME is longer than every type's name.
const maxMIME = 200

// decode reads the entries of a layer whose contents have size bytes.
func decode(raw []byte, size int64) ([]Entry, error) {
	d := &decoder{raw: raw, text: string(raw)}
	count := d.uvarint()
	if count > maxEntries+1 || count > uint64(len(raw))/leastEntry+1 {
		return nil, fmt.Errorf("%w: it says that it has %d entries", errDamaged, count)
	}
	entries := make([]Entry, count)
	for i := range entries {
		e := &entries[i]
		e.Path, e.Link, e.MIME = d.string(maxPath), d.string(maxPath), d.string(maxMIME)
		e.Type, e.Traits = file.Type(d.byte()), Traits(d.byte())
		mode := d.uvarint()
		uid, gid := d.varint(), d.varint()
		e.Size, e.Modified, e.Offset = d.varint(), d.varint(), d.varint()
		e.UID, e.GID, e.Mode = int(uid), int(gid), fs.FileMode(mode) //nolint:gosec // as they were written
		if d.bad || mode>>32 != 0 || !e.fits(size) {
			return nil, fmt.Errorf("%w: its entry %d is wrong", errDamaged, i)
		}
	}
	if d.at != len(raw) {
		return nil, fmt.Errorf("%w: something follows its last entry", errDamaged)
	}
	return entries, nil
}

// fits reports whether an entry can be one of a layer whose contents have size bytes.
func (e *Entry) fits(size int64) bool {
	if !strings.HasPrefix(e.Path, "/") || e.Type < file.TypeRegular || e.Type > file.TypeIrregular || e.Traits&^allTraits != 0 || e.Size < 0 {
		return false
	}
	if e.Offset == missing {
		return true
	}
	return e.Offset >= 0 && e.Offset <= size && (e.Type != file.TypeRegular || e.Size <= size-e.Offset)
}
