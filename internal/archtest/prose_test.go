package archtest_test

import (
	"strings"
	"testing"

	"github.com/perceptor/perceptor/internal/archtest"
)

func TestCheckProse(t *testing.T) {
	sound := map[string]string{
		"README.md": "See [how](internal/HOW.md#first) and [the site](https://perceptor.example/x), then `make run`.\n",
		"Makefile":  "run:\n\ttrue\n", "internal/HOW.md": "[up](../README.md)\n",
	}
	vague := "no" + "body"
	for _, row := range []struct {
		name string
		more map[string]string
		want string
	}{
		{name: "sound"},
		{name: "as many vague words as may be", more: map[string]string{"a.go": "package a\n" + strings.Repeat("// "+vague+"\n", archtest.WordBudget)}},
		{
			name: "a vague word too many, in capitals and elsewhere", want: "41 lines match",
			more: map[string]string{"a_test.go": "package a\n" + strings.Repeat("// To"+"ld.\n", archtest.WordBudget), "b.md": "it says no" + " more\n"},
		},
		{
			name: "words in longer words, and two in a line", more: map[string]string{
				"a.go": "package a\n" + strings.Repeat("// "+vague+" "+vague+" "+vague+"Else un"+vague+"\n", archtest.WordBudget), "b.md": "re" + "to" + "ld " + vague + "_\n",
			},
		},
		{name: "vague words in data", more: map[string]string{"a.json": strings.Repeat(vague+"\n", archtest.WordBudget+1)}},
		{name: "a hub in words of a circuit", more: map[string]string{"internal/HOW.md": "\nThe hub of the shop was op" + "en.\n"}, want: "internal/HOW.md:2:"},
		{name: "a hub that failed", more: map[string]string{"a.go": "package a\n\n// A Hub is clo" + "sed.\n"}, want: "a.go:3:"},
		{name: "a hub, and a sentence on a file", more: map[string]string{"a.go": "package a\n\n// A hub. The file was op" + "en.\n"}},
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
		{name: "the author's home", text: "one\nsee " + home + "kim/src\n", want: "a.txt:2:"},
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
