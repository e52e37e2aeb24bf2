//go:build oracle

package oracle_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/semver"
)

// pair are two versions of one ecosystem.
type pair struct{ a, b string }

func (p pair) turned() pair { return pair{p.b, p.a} }

// native answers pairs as the ecosystem's own tool does.
type native func(t *testing.T, pairs []pair) []byte

// goModules is the go command's order.
func goModules(_ *testing.T, pairs []pair) []byte {
	answers := make([]byte, 0, len(pairs))
	for _, p := range pairs {
		a, b := "v"+strings.TrimPrefix(p.a, "v"), "v"+strings.TrimPrefix(p.b, "v")
		answer := byte(refused)
		if semver.IsValid(a) && semver.IsValid(b) {
			answer = [...]byte{less, equal, greater}[semver.Compare(a, b)+1]
		}
		answers = append(answers, answer)
	}
	return answers
}

// nativeTimeout bounds one tool: dpkg starts for each pair, and that is a minute or two.
const nativeTimeout = 15 * time.Minute

// program is a tool that reads pairs from its standard input and writes one answer a line.
func program(command ...string) native {
	return func(t *testing.T, pairs []pair) []byte {
		t.Helper()
		var in bytes.Buffer
		for _, p := range pairs {
			require.NotContains(t, p.a+p.b, "\n")
			in.WriteString(p.a + "\t" + p.b + "\n")
		}
		ctx, stop := context.WithTimeout(t.Context(), nativeTimeout)
		defer stop()
		run := exec.CommandContext(ctx, command[0], command[1:]...)
		run.Stdin, run.Stderr = &in, os.Stderr
		out, err := run.Output()
		require.NoError(t, err, command[0])
		answers := bytes.ReplaceAll(out, []byte("\n"), nil)
		require.Len(t, answers, len(pairs), "one answer for each pair: %s", command[0])
		return answers
	}
}

// script is a file of testdata.
func script(name string) string { return filepath.Join("testdata", name) }

// lua is a file of testdata as rpm evaluates it.
func lua(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(script(name))
	require.NoError(t, err)
	return "%{lua:" + string(text) + "}"
}

// need skips the test where a program or file is missing, and names the Debian package that has it. A skipped ecosystem
// is named in the report and does not count.
func need(t *testing.T, what, debianPackage string) string {
	t.Helper()
	path := what
	var err error
	if strings.HasPrefix(what, "/") {
		_, err = os.Stat(what)
	} else {
		path, err = exec.LookPath(what)
	}
	if err != nil {
		t.Skipf("%s is not here: apt-get install %s", what, debianPackage)
	}
	return path
}
