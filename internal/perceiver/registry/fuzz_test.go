package registry

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzMessages: whatever is sent, what comes out are names that a registry can have.
func FuzzMessages(f *testing.F) {
	for _, row := range pushes {
		f.Add([]byte(row.body))
	}
	for _, body := range wrongBodies[:15] {
		f.Add([]byte(body))
	}
	for kind := range products {
		for _, body := range append(strangeEvents[kind], quietEvents[kind]...) {
			f.Add([]byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for kind, product := range products {
			m, err := product.read(body)
			if err != nil {
				require.ErrorIs(t, err, errForm, kind)
				require.LessOrEqual(t, len(err.Error()), 400)
			}
			for _, each := range m.places {
				require.True(t, isRepository(each.repository), each.repository)
				require.True(t, each.tag == "" || isImageTag(each.tag), each.tag)
			}
			for _, each := range m.unknown {
				require.LessOrEqual(t, len(each), 600)
			}
			for _, each := range m.ids {
				require.LessOrEqual(t, len(each), 2*idLength+1)
			}
		}
	})
}
