package starter

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCursorIsReadBackAndNothingElseIs(t *testing.T) {
	at := position{Cluster: "c", Namespace: "n", After: "name\nuid"}
	read, err := parseCursor(at.String())
	require.NoError(t, err)
	require.Equal(t, at, read)
	_, err = parseCursor("?")
	require.ErrorIs(t, err, ErrBadCursor)
}
