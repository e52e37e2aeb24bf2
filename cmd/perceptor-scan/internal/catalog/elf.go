package catalog

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

// elfTables bounds how much of a file is read for tables that stand near its start, in bytes. Both tables of a program
// with a hundred sections take less than 16 KiB.
const elfTables = 256 << 10

// elfSize is how many bytes an ELF file must have by what its header and its tables say: 0 for other files. A linker may
// put the table of sections first or last. Where it stands last, its own end is the end of the file.
func elfSize(content io.Reader) (uint64, error) {
	head, err := io.ReadAll(io.LimitReader(content, elfTables))
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, err
	}
	if len(head) < len("\x7fELF") || string(head[:4]) != "\x7fELF" {
		return 0, nil
	}
	if len(head) < elfHeaderSize {
		return elfHeaderSize, nil
	}
	f := elfFile{head: head, order: binary.LittleEndian, wide: head[elfClass] != elf32}
	if head[elfData] == bigEndian {
		f.order = binary.BigEndian
	}
	if f.wide {
		return max(f.segments(f.word(0x20), f.half(0x36), f.half(0x38), 0x08, 0x20), f.sections(f.word(0x28), f.half(0x3a), f.half(0x3c), 0x18, 0x20)), nil
	}
	return max(f.segments(f.word(0x1c), f.half(0x2a), f.half(0x2c), 0x04, 0x10), f.sections(f.word(0x20), f.half(0x2e), f.half(0x30), 0x10, 0x14)), nil
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

// segments is the end of the last part of the file that is loaded into memory.
func (f elfFile) segments(table, each, count, offset, size uint64) uint64 {
	return f.entries(table, each, count, func(at uint64) uint64 { return add(f.word(at+offset), f.word(at+size)) })
}

// sections is the end of the last section.
func (f elfFile) sections(table, each, count, offset, size uint64) uint64 {
	return f.entries(table, each, count, func(at uint64) uint64 {
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
