package layers

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
)

// The places in an ELF file (gABI, "ELF Header", "Program Header", "Section Header").
const (
	elfHeaderSize = 64
	elfClass      = 4
	elfData       = 5
	elf32         = 1
	bigEndian     = 2
	noBits        = 8 // a section that takes no place in the file
)

// How much of a file is read for tables that stand near its start, in bytes: first what most programs need, then what all
// tables of a program with a hundred sections need many times over.
const (
	firstTables = 4 << 10
	elfTables   = 256 << 10
)

func readHead(content io.ReaderAt, most int) ([]byte, error) {
	head := make([]byte, most)
	n, err := content.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return head[:n], nil
}

// elfSize is how many bytes an ELF file must have by what its header and its tables say: 0 for other files. A linker may
// put the table of sections first or last. Where it stands last, its own end is the end of the file. Head is the beginning
// of the file; more of it is read where a table needs that.
func elfSize(content io.ReaderAt, head []byte) (uint64, error) {
	if len(head) < len(elfMagic) || string(head[:len(elfMagic)]) != elfMagic {
		return 0, nil
	}
	if len(head) < elfHeaderSize {
		return elfHeaderSize, nil
	}
	for {
		f := newELF(head)
		if !f.needsMore() {
			return f.need(), nil
		}
		var err error
		if head, err = readHead(content, elfTables); err != nil {
			return 0, err
		}
	}
}

// elfFile reads numbers of a file in its own byte order and width.
type elfFile struct {
	head  []byte
	order binary.ByteOrder
	wide  bool
}

func (f elfFile) half(at uint64) uint64 { return uint64(f.order.Uint16(f.head[at:])) }

// word is the address or size at a place: 8 bytes, or 4 in files of 32 bits.
func (f elfFile) word(at uint64) uint64 {
	if f.wide {
		return f.order.Uint64(f.head[at:])
	}
	return uint64(f.order.Uint32(f.head[at:]))
}

// tables are where the two tables stand, how long an entry is, and how many there are.
func (f elfFile) tables() (segments, sections [3]uint64) {
	if f.wide {
		return [3]uint64{f.word(0x20), f.half(0x36), f.half(0x38)}, [3]uint64{f.word(0x28), f.half(0x3a), f.half(0x3c)}
	}
	return [3]uint64{f.word(0x1c), f.half(0x2a), f.half(0x2c)}, [3]uint64{f.word(0x20), f.half(0x2e), f.half(0x30)}
}

// needsMore reports whether a table begins where more is read of the file, and ends behind what was read.
func (f elfFile) needsMore() bool {
	segments, sections := f.tables()
	for _, t := range [][3]uint64{segments, sections} {
		if len(f.head) == firstTables && t[0] < elfTables && add(t[0], t[1]*t[2]) > uint64(len(f.head)) {
			return true
		}
	}
	return false
}

// elfLeast is how long the header of a file of 32 bits is.
const elfLeast = 52

// need is the end of the last thing in the file.
func (f elfFile) need() uint64 {
	segments, sections := f.tables()
	if f.wide {
		return max(elfHeaderSize, f.segments(segments, 0x08, 0x20), f.sections(sections, 0x18, 0x20))
	}
	return max(elfLeast, f.segments(segments, 0x04, 0x10), f.sections(sections, 0x10, 0x14))
}

// segments is the end of the last part of the file that is loaded into memory.
func (f elfFile) segments(table [3]uint64, offset, size uint64) uint64 {
	return f.entries(table[0], table[1], table[2], func(at uint64) uint64 { return add(f.word(at+offset), f.word(at+size)) })
}

// sections is the end of the last section.
func (f elfFile) sections(table [3]uint64, offset, size uint64) uint64 {
	return f.entries(table[0], table[1], table[2], func(at uint64) uint64 {
		if f.order.Uint32(f.head[at+4:]) == noBits {
			return 0
		}
		return add(f.word(at+offset), f.word(at+size))
	})
}

// entries is the highest end that the entries of a table say, the table's own among them. Entries behind what was read
// are left out.
func (f elfFile) entries(table, each, count uint64, end func(at uint64) uint64) uint64 {
	if table == 0 {
		return 0
	}
	need := add(table, each*count)
	const least = 0x28 // the smallest entry of both tables has 32 or 40 bytes
	for i := range count {
		at := add(table, i*each)
		if each < 0x20 || add(at, max(each, least)) > uint64(len(f.head)) {
			break
		}
		need = max(need, end(at))
	}
	return need
}

// add is the sum, or the highest number where it would overflow.
func add(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}
