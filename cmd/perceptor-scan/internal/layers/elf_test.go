package layers

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheSizeOfAProgram builds real programs, as linkers put their tables: first in one without symbols, last in others.
func TestTheSizeOfAProgram(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	require.NoError(t, os.WriteFile(source, []byte("package main\n\nfunc main() { println(1) }\n"), 0o600))
	for _, each := range []struct{ name, flags, arch string }{
		{"with symbols", "", "amd64"},
		{"without symbols", "-s -w", "amd64"},
		{"of 32 bits", "", "386"},
		{"of 32 bits without symbols", "-s -w", "arm"},
		{"of another byte order", "-s -w", "s390x"},
	} {
		t.Run(each.name, func(t *testing.T) {
			program := filepath.Join(t.TempDir(), "program")
			build := exec.CommandContext(t.Context(), "go", "build", "-ldflags="+each.flags, "-o", program, source)
			build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+each.arch, "GOFLAGS=")
			said, err := build.CombinedOutput()
			require.NoError(t, err, string(said))
			body, err := os.ReadFile(program)
			require.NoError(t, err)

			need := sizeOf(t, body)
			require.LessOrEqual(t, need, uint64(len(body)))
			require.Greater(t, need, uint64(len(body))-4096, "its end is known to a page")
			for _, part := range []int{3, 2} {
				need = sizeOf(t, body[:len(body)/part])
				require.Greater(t, need, uint64(len(body)/part))
			}
		})
	}
}

func sizeOf(t *testing.T, body []byte) uint64 {
	t.Helper()
	content := bytes.NewReader(body)
	head, err := readHead(content, firstTables)
	require.NoError(t, err)
	need, err := elfSize(content, head)
	require.NoError(t, err)
	return need
}

func FuzzElfSize(f *testing.F) {
	own, err := os.ReadFile(os.Args[0])
	require.NoError(f, err)
	f.Add(own[:4096])
	f.Add([]byte("\x7fELF"))
	f.Add(append([]byte("\x7fELF\x01\x02"), make([]byte, 80)...))
	f.Fuzz(func(t *testing.T, body []byte) {
		need := sizeOf(t, body)
		if _, err := elf.NewFile(bytes.NewReader(body)); err != nil {
			return
		}
		require.GreaterOrEqual(t, need, uint64(elfHeaderSize)/2)
	})
}
