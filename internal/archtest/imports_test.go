package archtest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/archtest"
)

// importing is a Go file of package p that imports the given paths.
func importing(paths ...string) string {
	text := "package p\n\nimport (\n"
	for _, path := range paths {
		text += "\t_ \"" + path + "\"\n"
	}
	return text + ")\n"
}

func TestCheckImports(t *testing.T) {
	ours := func(pkg string) string { return importing(archtest.Module + "/" + pkg) }
	for _, row := range []struct {
		name string
		file string
		text string
		want string // part of the one complaint; empty for none
	}{
		{name: "nouns from an edge", file: "internal/registry/a.go", text: ours("model")},
		{name: "an edge from an edge", file: "internal/registry/a.go", text: ours("internal/hub/blackduck"), want: "imports internal/hub/blackduck"},
		{name: "below its own row", file: "internal/scanclient/a.go", text: ours("internal/scanclient/protocol")},
		{name: "above its own row", file: "internal/hub/builtin/osv/a.go", text: ours("internal/hub/builtin"), want: "row of internal/hub/builtin/osv"},
		{name: "a name that only begins alike", file: "internal/hub/builtin/a.go", text: ours("internal/images"), want: "imports internal/images"},
		{name: "nouns from nouns", file: "model/a.go", text: ours("internal/lease"), want: "imports internal/lease"},
		{name: "an edge from an activity", file: "activities/a.go", text: ours("internal/registry"), want: "imports internal/registry"},
		{name: "an edge from a test of an activity", file: "activities/a_test.go", text: ours("internal/registry")},
		{name: "steps and nouns from a story", file: "workflows/a.go", text: importing(archtest.Module+"/activities", archtest.Module+"/internal/lease")},
		{name: "wiring from a story", file: "workflows/a.go", text: ours("workers"), want: "imports workers"},
		{name: "everything from the wiring", file: "workers/a.go", text: importing(archtest.Module+"/workflows", archtest.Module+"/internal/hub/builtin")},
		{name: "a program from the wiring", file: "workers/a.go", text: ours("cmd/perceptor"), want: "a program is not imported"},
		{name: "a program from a test", file: "starter/a_test.go", text: ours("cmd/perceptor"), want: "a program is not imported"},
		{name: "a program from another", file: "cmd/perceptor-dev/a.go", text: ours("cmd/perceptor"), want: "a program is not imported"},
		{name: "a part of its own program", file: "cmd/perceptor-dev/a.go", text: ours("cmd/perceptor-dev/webui")},
		{name: "what programs share from a program", file: "cmd/perceptor/a.go", text: ours("cmd/internal/console")},
		{name: "what programs share from elsewhere", file: "starter/a.go", text: ours("cmd/internal/console"), want: "a program is not imported"},
		{name: "a program from what programs share", file: "cmd/internal/console/a.go", text: ours("cmd/perceptor"), want: "a program is not imported"},
		{name: "the wiring from a program", file: "cmd/perceptor/a.go", text: ours("workers")},
		{name: "the wiring from a test program", file: "internal/rig/a.go", text: ours("internal/kubetest")},
		{name: "a pure record from a story", file: "workflows/image/a.go", text: importing(archtest.Module+"/internal/record", archtest.Module+"/internal/backoff")},
		{name: "the contract from a story", file: "workflows/image/a.go", text: ours("workflows")},
		{name: "an edge from a story", file: "workflows/scan/a.go", text: ours("internal/workspace"), want: "imports internal/workspace"},
		{name: "a story from the pure record", file: "internal/record/a.go", text: ours("workflows/image"), want: "imports workflows/image"},
		{name: "what both APIs share from one", file: "internal/api/compat/a.go", text: ours("internal/api")},
		{name: "the API of 2018 from that of today", file: "internal/api/v1/a.go", text: ours("internal/api/compat"), want: "imports internal/api/compat"},
		{name: "the API of 2018 from what both share", file: "internal/api/a.go", text: ours("internal/api/compat"), want: "imports internal/api/compat"},
		{name: "the SDK from an example", file: "examples/report/main.go", text: importing(archtest.Module+"/starter", archtest.Module+"/model")},
		{name: "no SDK from an example", file: "examples/report/main.go", text: ours("internal/registry"), want: "imports internal/registry"},
		{name: "telemetry", file: "internal/telemetry/a.go", text: "package p\n", want: "has no row"},
		{name: "no row", file: "internal/elsewhere/a.go", text: "package p\n", want: "add one to table in internal/archtest/imports.go"},
		{name: "no row for the root", file: "a.go", text: "package p\n", want: "has no row"},
	} {
		t.Run(row.name, func(t *testing.T) {
			wrong := archtest.CheckImports(plant(t, map[string]string{row.file: row.text}))
			expect(t, wrong, row.want)
		})
	}
}

// requiring is a go.mod that requires one module.
func requiring(module string) map[string]string {
	return map[string]string{"go.mod": "module x\n\nrequire (\n\t" + module + "\n)\n"}
}

func TestCheckBans(t *testing.T) {
	for _, row := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{name: "Temporal in an edge", files: map[string]string{"internal/registry/a.go": importing("go.temporal.io/sdk/client")}, want: "works without Temporal"},
		{name: "Temporal in a story", files: map[string]string{"workflows/a.go": importing("go.temporal.io/sdk/workflow")}},
		{name: "HTTP in a story", files: map[string]string{"workflows/a.go": importing("net/http")}, want: "no input or output"},
		{name: "programs in the lease book", files: map[string]string{"internal/lease/a.go": importing("os/exec")}, want: "no input or output"},
		{name: "files in the nouns", files: map[string]string{"model/a.go": importing("os")}, want: "no input or output"},
		{name: "files in a test of a story", files: map[string]string{"workflows/a_test.go": importing("os")}},
		{name: "fx in an edge", files: map[string]string{"internal/hub/builtin/a.go": importing("go.uber.org/fx")}, want: "wiring"},
		{name: "fx in the wiring", files: map[string]string{"workers/a.go": importing("go.uber.org/fx")}},
		{name: "the server in a test", files: map[string]string{"workers/a_test.go": importing("go.temporal.io/server/temporal")}, want: "heavy"},
		{name: "the server in its module", files: map[string]string{"cmd/perceptor-dev/a.go": importing("go.temporal.io/server/temporal")}},
		{name: "the server in go.mod", files: requiring("go.temporal.io/server v1.32.1 // indirect"), want: "go.mod: requires go.temporal.io/server"},
		{name: "a versioned path in go.mod", files: map[string]string{"go.mod": "require github.com/temporalio/ui-server/v2 v2.1.0\n"}, want: "requires github.com/temporalio/ui-server"},
	} {
		t.Run(row.name, func(t *testing.T) {
			wrong := archtest.CheckBans(plant(t, with(map[string]string{"go.mod": "module x\n"}, row.files)))
			expect(t, wrong, row.want)
		})
	}
}

// expect wants exactly one complaint that contains want, or none at all where want is empty.
func expect(t *testing.T, wrong []string, want string) {
	t.Helper()
	if want == "" {
		require.Empty(t, wrong)
		return
	}
	require.Len(t, wrong, 1)
	require.Contains(t, wrong[0], want)
}
