package layers

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
)

const elfMagic = "\x7fELF"

// programMagics are the first bytes of the kinds of programs that catalogers ask for: ELF, Mach-O in both orders and in
// several architectures. Those of Windows begin with MZ.
var programMagics = []string{
	elfMagic, "\xfe\xed\xfa\xce", "\xfe\xed\xfa\xcf", "\xce\xfa\xed\xfe", "\xcf\xfa\xed\xfe", "\xca\xfe\xba\xbe", "\xbe\xba\xfe\xca",
}

func isProgram(head []byte) bool {
	if len(head) < len(elfMagic) {
		return false
	}
	for _, magic := range programMagics {
		if string(head[:len(magic)]) == magic {
			return true
		}
	}
	return head[0] == 'M' && head[1] == 'Z'
}

// The marks that may stand anywhere in a program. A byte that is rare in programs is looked for first.
var (
	// goMark begins Go's build information (debug/buildinfo, "searchMagic").
	goMark = []byte("\xff Go buildinf:")
	// packedMark stands in the first packedHead bytes of a program that UPX has packed.
	packedMark = []byte("UPX!")
	// bundleMark is the sum of the name ".net core bundle" in .NET's programs of a single file.
	bundleMark = []byte{
		0x8b, 0x12, 0x02, 0xb9, 0x6a, 0x61, 0x20, 0x38, 0x72, 0x7b, 0x93, 0x02, 0x14, 0xd7, 0xa0, 0x32,
		0x13, 0xf5, 0xb9, 0xe6, 0xef, 0xae, 0x33, 0x18, 0xee, 0x3b, 0x2d, 0xce, 0x24, 0xb3, 0x6a, 0xae,
	}
	// imageMark is in the name of a symbol that all GraalVM programs with an SBOM have.
	imageMark = []byte("sbom_length")
)

const packedHead = 8192

// marks looks for marks in a program as it passes by.
type marks struct {
	head   []byte
	buffer []byte
	found  Traits
}

func newMarks() *marks { return &marks{buffer: make([]byte, 64<<10)} }

// read reads a program to its end. Head was read before.
func (m *marks) read(head []byte, content io.Reader) error {
	keep := copy(m.buffer, head)
	for first := true; ; first = false {
		n, err := io.ReadFull(content, m.buffer[keep:])
		seen := m.buffer[:keep+n]
		if first {
			m.head = bytes.Clone(seen[:min(len(seen), mimeHead)])
			if bytes.Contains(seen[:min(len(seen), packedHead)], packedMark) {
				m.found |= GoInfo
			}
		}
		if !m.found.Has(GoInfo) && bytes.Contains(seen, goMark) {
			m.found |= GoInfo
		}
		if !m.found.Has(Bundle) && containsBundle(seen) {
			m.found |= Bundle
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
		keep = copy(m.buffer, seen[len(seen)-len(bundleMark)+1:])
	}
}

// rare is the place in bundleMark of a byte that is rare in programs.
const rare = 13

func containsBundle(seen []byte) bool {
	for at := rare; at < len(seen); {
		next := bytes.IndexByte(seen[at:], bundleMark[rare])
		if next < 0 {
			return false
		}
		at += next
		if bytes.HasPrefix(seen[at-rare:], bundleMark) {
			return true
		}
		at++
	}
	return false
}

// maxStrings bounds the tables of names that are read of one program, in bytes.
const maxStrings = 32 << 20

// look reads a program's own tables: once, for all catalogers.
func look(content io.ReaderAt, size int64) Traits {
	var found Traits
	head, err := readHead(content, firstTables)
	if err != nil {
		return 0
	}
	need, err := elfSize(content, head)
	if err != nil {
		return 0
	}
	if need > uint64(max(size, 0)) {
		found |= CutOff
	}
	if hasPackedNames(head, content) {
		return found
	}
	program, err := parse(content)
	if err != nil || len(program.Sections) < 2 {
		return found
	}
	left := uint64(maxStrings)
	for _, section := range program.Sections {
		switch section.Name {
		case ".go.buildinfo":
			found |= GoInfo
		case ".dep-v0", ".rust-deps-v0":
			found |= RustInfo
		case ".note.package":
			found |= Note
		}
		if section.Type != elf.SHT_STRTAB {
			continue
		}
		if section.Flags&elf.SHF_COMPRESSED != 0 || section.FileSize > left {
			return found &^ Parsed
		}
		left -= section.FileSize
		names := make([]byte, section.FileSize)
		if _, err := section.ReadAt(names, 0); err != nil {
			return found
		}
		if bytes.Contains(names, imageMark) {
			found |= NativeImage
		}
	}
	return found | Parsed
}

// parse reads a program's tables. A library that fails at a hostile file without an error has found nothing.
func parse(content io.ReaderAt) (program *elf.File, err error) {
	defer func() {
		if recover() != nil {
			program, err = nil, errors.New("its tables cannot be read")
		}
	}()
	return elf.NewFile(content)
}

// hasPackedNames reports whether the names of a program's sections are compressed, or cannot be found: reading them could
// take any amount of memory.
func hasPackedNames(head []byte, content io.ReaderAt) bool {
	if len(head) < elfHeaderSize {
		return true
	}
	f := newELF(head)
	table, each, index := f.word(0x20), f.half(0x2e), f.half(0x32)
	flags, width := uint64(0x08), uint64(4)
	if f.wide {
		table, each, index = f.word(0x28), f.half(0x3a), f.half(0x3e)
		width = 8
	}
	const beyond = 0xffff // the index stands elsewhere, in programs of more than 65,280 sections
	if table == 0 || each < flags+width || index == beyond || add(table, index*each+each) > maxOffset {
		return true
	}
	section := make([]byte, flags+width)
	if _, err := content.ReadAt(section, int64(table+index*each)); err != nil { //nolint:gosec // bounded above
		return true
	}
	set := uint64(f.order.Uint32(section[flags:]))
	if f.wide {
		set = f.order.Uint64(section[flags:])
	}
	return set&uint64(elf.SHF_COMPRESSED) != 0
}

// maxOffset is far beyond the end of any file.
const maxOffset = 1 << 48

func newELF(head []byte) elfFile {
	f := elfFile{head: head, order: binary.LittleEndian, wide: head[elfClass] != elf32}
	if head[elfData] == bigEndian {
		f.order = binary.BigEndian
	}
	return f
}
