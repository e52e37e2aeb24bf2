//go:build oracle

package oracle_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
)

// The answers to a pair of versions.
const (
	less    = '<'
	equal   = '='
	greater = '>'
	refused = '?' // one of them is no version there
)

// subject is a package as an image has it, and as records name it.
type subject struct{ purl, ecosystem, name string }

// order is how the built-in hub orders two versions. It is asked the way it is in judging: is the installed version a below
// a fix in b, and is it at most the last affected version b?
func (s subject) order(t *testing.T, a, b string) byte {
	t.Helper()
	installed, reason, _ := osv.Locate(osv.Subject{PURL: s.purl, Version: a}, osv.Distribution{})
	if reason != "" {
		return refused
	}
	below, unclear := installed.Match(s.record(t, "fixed", b))
	atMost, unclearToo := installed.Match(s.record(t, "last_affected", b))
	switch {
	case unclear != "" || unclearToo != "":
		return refused
	case len(below) > 0:
		require.NotEmpty(t, atMost, "%s: %q is below %q, and not at most it", s.ecosystem, a, b)
		return less
	case len(atMost) > 0:
		return equal
	}
	return greater
}

// record is one about all versions up to an event.
func (s subject) record(t *testing.T, event, version string) []osv.Record {
	t.Helper()
	type object = map[string]any
	raw, err := json.Marshal(object{
		"id": "TEST-1", "modified": "2026-01-01T00:00:00Z",
		"affected": []object{{
			"package": object{"ecosystem": s.ecosystem, "name": s.name},
			"ranges":  []object{{"type": "ECOSYSTEM", "events": []object{{"introduced": "0"}, {event: version}}}},
		}},
	})
	require.NoError(t, err)
	record, err := osv.Parse(raw)
	require.NoError(t, err)
	return []osv.Record{record}
}
