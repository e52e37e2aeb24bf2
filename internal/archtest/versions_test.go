package archtest_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/archtest"
)

// modules are the modules of this repository.
var modules = []string{"", "cmd/perceptor-scan/", "cmd/perceptor-dev/", "cmd/kube-apiserver-test/", "examples/"}

func TestOneGoVersion(t *testing.T) {
	files := map[string]string{}
	for _, module := range modules {
		text, err := os.ReadFile("../../" + module + "go.mod")
		require.NoError(t, err)
		files[module+"go.mod"] = string(text)
	}
	require.Empty(t, archtest.CheckGoVersions(files))
	files["examples/go.mod"] = "module x\n\ngo 1.20\n"
	files["cmd/perceptor-dev/samples/programs/vulnerable/go.mod"] = "module x\n\ngo 1.2\n"
	wrong := archtest.CheckGoVersions(files)
	require.Len(t, wrong, 2)
	require.Contains(t, wrong[1], "examples/go.mod: Go 1.20")
	require.Equal(t, []string{"go.mod: names no version of Go"}, archtest.CheckGoVersions(map[string]string{"go.mod": "module x"}))
}
