package inventory

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
)

// unpackedLimit bounds what a packed book may unpack to, far above what any does.
const unpackedLimit = 64 << 20

// Packed carries a value as JSON that is compressed: a string in the JSON around it. It is for what travels from run to run,
// so that Web UI shows everything else as it is.
type Packed[T any] struct{ Value *T }

// MarshalJSON packs.
func (p Packed[T]) MarshalJSON() ([]byte, error) {
	if p.Value == nil {
		return []byte("null"), nil
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if err := json.NewEncoder(w).Encode(p.Value); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	return json.Marshal(packed.Bytes())
}

// UnmarshalJSON unpacks.
func (p *Packed[T]) UnmarshalJSON(text []byte) error {
	var packed []byte
	if err := json.Unmarshal(text, &packed); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	if packed == nil {
		p.Value = nil
		return nil
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	p.Value = new(T)
	if err := json.NewDecoder(io.LimitReader(r, unpackedLimit)).Decode(p.Value); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	return nil
}

// Size is how large the book is when it travels.
func (b *Book) Size() int {
	packed, err := json.Marshal(Packed[Book]{b})
	if err != nil {
		return inputLimit // what cannot travel has no room for more
	}
	return len(packed)
}
