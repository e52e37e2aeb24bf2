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

func TestCheckProse(t *testing.T) {
	sound := map[string]string{
		"README.md": "See [how](internal/HOW.md#first) and [the site](https://perceptor.example/x), then `make run`.\n",
		"Makefile":  "run:\n\ttrue\n", "internal/HOW.md": "[up](../README.md)\n",
	}
	for _, row := range []struct {
		name string
		more map[string]string
		want string
	}{
		{name: "sound"},
		{name: "a dead link", more: map[string]string{"internal/HOW.md": "[up](README.md)\n"}, want: "internal/HOW.md: links to README.md"},
		{name: "no such target", more: map[string]string{"internal/HOW.md": "Type `make rum`.\n"}, want: "speaks of make rum"},
		{name: "README at its limit", more: map[string]string{"README.md": strings.Repeat("x\n", archtest.ReadmeBudget)}},
		{name: "README too long", more: map[string]string{"README.md": strings.Repeat("x\n", archtest.ReadmeBudget+1)}, want: "201 lines"},
		{name: "others may be longer", more: map[string]string{"internal/HOW.md": strings.Repeat("x\n", archtest.ReadmeBudget+1)}},
	} {
		t.Run(row.name, func(t *testing.T) {
			expect(t, archtest.CheckProse(plant(t, with(sound, row.more))), row.want)
		})
	}
}

func TestCheckMachinePaths(t *testing.T) {
	home, roots := "/ho"+"me/", "/ro"+"ot/"
	for _, row := range []struct {
		name string
		text string
		want string
	}{
		{name: "somebody's home", text: "one\nsee " + home + "kim/src\n", want: "a.txt:2:"},
		{name: "the administrator's home", text: "\"" + roots + "go/pkg\"", want: "a.txt:1:"},
		{name: "at the beginning", text: roots + ".cache", want: "a.txt:1:"},
		{name: "part of an address", text: "https://example.com" + home + "page/x"},
		{name: "below another folder", text: "/srv" + roots + "x"},
		{name: "not text", text: "\x00 " + roots + "x"},
	} {
		t.Run(row.name, func(t *testing.T) {
			expect(t, archtest.CheckMachinePaths(plant(t, map[string]string{"a.txt": row.text})), row.want)
		})
	}
}
