package osv

import (
	"bufio"
	"bytes"
	_ "embed"
	"fmt"
)

//go:embed sample/records.ndjson
var sample []byte

// Sample is a small set of true, published facts, for demonstrations on a machine without a network. It is far from
// complete: most packages it does not name have vulnerabilities too. See sample/README.md.
func Sample() ([]Record, error) {
	var records []Record
	lines := bufio.NewScanner(bytes.NewReader(sample))
	lines.Buffer(nil, MaxRecordSize)
	for lines.Scan() {
		r, err := Parse(lines.Bytes())
		if err != nil {
			return nil, fmt.Errorf("sample record %d: %w", len(records)+1, err)
		}
		records = append(records, r)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("sample: %w", err)
	}
	return records, nil
}
