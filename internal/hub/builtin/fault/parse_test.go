package fault_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/fault"
)

// FuzzParse: what is accepted is accepted again as it is written.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"seed":7,"switches":{"slow":{"min":"2s","max":"15s","share":0.5},"throttle":{"retryAfter":"1s","asDate":true}}}`))
	f.Add([]byte(`{"switches":{"generation":{"is":"old"},"capacity":{"scans":3},"dead":{"for":"1m","on":["upload"]}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		read, err := fault.Parse(text)
		if err != nil {
			return
		}
		raw, err := json.Marshal(read)
		require.NoError(t, err)
		again, err := fault.Parse(raw)
		require.NoError(t, err, "what is accepted is accepted again: %s", raw)
		second, err := json.Marshal(again)
		require.NoError(t, err)
		require.Equal(t, string(raw), string(second))
	})
}
