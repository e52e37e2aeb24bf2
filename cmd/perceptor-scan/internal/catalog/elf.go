package catalog

import (
	"encoding/binary"
	"errors"
	"io"
)

// The places in the header of an ELF file (gABI, "ELF Header"): the table of sections stands at the end of a file, as the
// compilers in use write it.
const (
	elfHeaderSize = 64
	elfClass      = 4
	elfData       = 5
	elf32         = 1
	bigEndian     = 2
)

// elfSize is how many bytes an ELF file must have by its own header: 0 for other files and where the header does not say.
func elfSize(content io.Reader) (uint64, error) {
	header := make([]byte, elfHeaderSize)
	n, err := io.ReadFull(content, header)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if n < len("\x7fELF") || string(header[:4]) != "\x7fELF" {
		return 0, nil
	}
	if n < elfHeaderSize {
		return elfHeaderSize, nil
	}
	var order binary.ByteOrder = binary.LittleEndian
	if header[elfData] == bigEndian {
		order = binary.BigEndian
	}
	at, each, count := order.Uint64(header[0x28:]), order.Uint16(header[0x3a:]), order.Uint16(header[0x3c:])
	if header[elfClass] == elf32 {
		at, each, count = uint64(order.Uint32(header[0x20:])), order.Uint16(header[0x2e:]), order.Uint16(header[0x30:])
	}
	if at == 0 {
		return 0, nil
	}
	return at + uint64(each)*uint64(count), nil
}
