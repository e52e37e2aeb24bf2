//go:build integration

package main_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

// reasonsFile holds a line for each kind of bad input: its name, the class and what a person reads.
var reasonsFile = filepath.Join("testdata", "reasons.txt")

// reasons are the golden list, and what was said this time.
type reasons struct {
	golden map[string]string
	lock   sync.Mutex
	said   map[string]string
}

func newReasons(t *testing.T) *reasons {
	t.Helper()
	r := &reasons{golden: map[string]string{}, said: map[string]string{}}
	text, err := os.ReadFile(reasonsFile)
	if !*updateReasons {
		require.NoError(t, err)
	}
	for line := range strings.Lines(string(text)) {
		name, says, found := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		require.True(t, found, line)
		r.golden[name] = says
	}
	return r
}

// compare takes what was said of one kind of bad input and compares it with the list.
func (r *reasons) compare(t *testing.T, name string, class model.FailureClass, reason string) {
	t.Helper()
	says := fmt.Sprintf("%s: %s", class, reason)
	r.lock.Lock()
	r.said[name] = says
	r.lock.Unlock()
	if !*updateReasons {
		require.Equal(t, r.golden[name], says, "if the new words are better, write %s anew with -update-reasons", reasonsFile)
	}
}

// finish writes the list anew where that was asked for; otherwise each of its lines must have been said.
func (r *reasons) finish(t *testing.T) {
	t.Helper()
	if !*updateReasons {
		require.ElementsMatch(t, slices.Collect(maps.Keys(r.golden)), slices.Collect(maps.Keys(r.said)))
		return
	}
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(r.said)) {
		fmt.Fprintf(&text, "%s: %s\n", name, r.said[name])
	}
	require.NoError(t, os.MkdirAll(filepath.Dir(reasonsFile), 0o755))
	require.NoError(t, os.WriteFile(reasonsFile, []byte(text.String()), 0o644))
}
