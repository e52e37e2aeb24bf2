package osv

import (
	"bufio"
	"bytes"
	_ "embed"
	"fmt"
	"iter"
)

//go:embed sample/records.ndjson
var sample []byte

// Sample is a small set of true, published facts, for demonstrations on a machine without a network. It is far from
// complete: most packages it does not name have vulnerabilities too. See sample/README.md.
func Sample() ([]Record, error) {
	var records []Record
	for line, err := range SampleLines() {
		if err != nil {
			return nil, err
		}
		r, err := Parse(line)
		if err != nil {
			return nil, fmt.Errorf("sample record %d: %w", len(records)+1, err)
		}
		records = append(records, r)
	}
	return records, nil
}

// SampleLines are the records of Sample as JSON in OSV's own form, one each. A line is good until the next one is asked for.
func SampleLines() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		lines := bufio.NewScanner(bytes.NewReader(sample))
		lines.Buffer(nil, MaxRecordSize)
		for lines.Scan() {
			if !yield(lines.Bytes(), nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(nil, fmt.Errorf("sample: %w", err))
		}
	}
}
