package archtest_test

import (
	"strings"
	"testing"

	"github.com/perceptor/perceptor/internal/archtest"
)

func TestCheckReadmeTree(t *testing.T) {
	readme := "# P\n\n" + "## The tree\n\nWords.\n\n```\nREADME.md go.mod  what it is\n.ci/run  what CI runs\ncmd/  programs\n  one/  the first\n" +
		"    main.go  begins here\n  two/ three/  the others\ninternal/  parts\n```\n"
	sound := map[string]string{
		"README.md": readme, "go.mod": "module x\n", ".ci/run": "true\n", ".gitignore": "bin/\n",
		"cmd/one/main.go": "package main\n", "cmd/one/other.go": "package main\n", "cmd/two/main.go": "package main\n", "cmd/three/main.go": "package main\n",
		"internal/a/a.go": "package a\n",
	}
	for _, row := range []struct {
		name string
		more map[string]string
		want string
	}{
		{name: "as drawn"},
		{name: "a file at the root not drawn", more: map[string]string{"LICENSE": "x"}, want: "does not show LICENSE"},
		{name: "a folder at the root not drawn", more: map[string]string{"deploy/a.yaml": "x"}, want: "does not show deploy"},
		{name: "a folder beside drawn ones", more: map[string]string{"cmd/four/main.go": "package main\n"}, want: "does not show cmd/four"},
		{name: "a folder in one not opened", more: map[string]string{"internal/b/b.go": "package b\n"}},
		{name: "a file beside drawn ones", more: map[string]string{"cmd/one/more.go": "package main\n"}},
		{name: "test data", more: map[string]string{"cmd/testdata/a.txt": "x"}},
		{name: "build outputs", more: map[string]string{"bin/one": "x"}},
		{name: "a drawn folder gone", more: map[string]string{"cmd/two/main.go": ""}, want: "shows cmd/two, which is not there"},
		{name: "a drawn file gone", more: map[string]string{".ci/run": ""}, want: "shows .ci/run, which is not there"},
		{name: "drawn too deep", more: map[string]string{"README.md": strings.Replace(readme, "  one/", "      one/", 1)}, want: "too deep"},
		{name: "no tree", more: map[string]string{"README.md": "# P\n"}, want: "no heading"},
		{name: "no block", more: map[string]string{"README.md": "# P\n\n## The tree\n\nWords.\n"}, want: "no fenced block"},
	} {
		t.Run(row.name, func(t *testing.T) {
			expect(t, archtest.CheckReadmeTree(plant(t, with(sound, row.more))), row.want)
		})
	}
}
