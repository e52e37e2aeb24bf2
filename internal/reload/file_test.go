package reload_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/reload"
)

func TestAChangedFileIsTakenAndABadOneIsNot(t *testing.T) {
	file := filepath.Join(t.TempDir(), "value")
	put := func(text string) {
		next := file + ".next"
		require.NoError(t, os.WriteFile(next, []byte(text), 0o600))
		require.NoError(t, os.Rename(next, file))
	}
	reads := 0
	read := func() (string, error) {
		reads++
		text, err := os.ReadFile(file)
		if string(text) == "bad" {
			err = errors.New("bad")
		}
		return string(text), err
	}
	_, err := reload.Watch([]string{file}, read, slog.New(slog.DiscardHandler))
	require.Error(t, err, "the first reading must succeed")

	put("one")
	files, err := reload.Watch([]string{file}, read, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.Equal(t, "one", files.Get())
	put("bad")
	before := reads
	require.Eventually(t, func() bool { require.Equal(t, "one", files.Get()); return reads > before }, 10*time.Second, 10*time.Millisecond)
	put("two")
	require.Eventually(t, func() bool { return files.Get() == "two" }, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, before+2, reads, "what has not changed is not read")
}
