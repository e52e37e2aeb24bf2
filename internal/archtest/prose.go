package archtest

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// ReadmeBudget is how many lines README.md may have.
const ReadmeBudget = 200

// WordBudget is how many lines of Go and Markdown may have a word of vagueWords in them.
const WordBudget = 40

var (
	link   = regexp.MustCompile(`\]\(([^)#:\s]+)(?:#[^)]*)?\)`)
	target = regexp.MustCompile("`make ([a-z0-9-]+)")
)

// CheckProse looks after what can be checked in text: README's length, links to files, names of make targets, words.
func CheckProse(t *Tree) []string {
	var wrong []string
	makefile, err := t.text("Makefile")
	if err != nil {
		wrong = append(wrong, err.Error())
	}
	wrong = append(wrong, t.checkWords()...)
	for _, file := range t.files {
		if path.Ext(file) != ".md" {
			continue
		}
		text, err := t.text(file)
		if err != nil {
			return append(wrong, err.Error())
		}
		if lines := strings.Count(text, "\n"); file == "README.md" && lines > ReadmeBudget {
			wrong = append(wrong, fmt.Sprintf("%s: %d lines, at most %d: move a part of it to docs", file, lines, ReadmeBudget))
		}
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			if !t.has(path.Join(path.Dir(file), found[1])) {
				wrong = append(wrong, fmt.Sprintf("%s: links to %s, which is not there", file, found[1]))
			}
		}
		for _, found := range target.FindAllStringSubmatch(text, -1) {
			if !strings.Contains("\n"+makefile, "\n"+found[1]+":") {
				wrong = append(wrong, fmt.Sprintf("%s: speaks of make %s, which Makefile does not have", file, found[1]))
			}
		}
	}
	return wrong
}

// vagueWords say too little to a reader whose first language is not English. The rule's own words are in parts here, and
// written as a search by hand would be: git grep -nwiE "a|b" -- "*.go" "*.md".
var vagueWords = regexp.MustCompile(`(?i)\b(?:` + strings.Join([]string{"t" + "old", "no" + "body", "some" + "body", "who" + "ever", "a" + "new", "no" + " more"}, "|") + `)\b`)

// brokenCircuit is a hub's state in words that mean opposite things to different readers.
var brokenCircuit = regexp.MustCompile(`(?i)hub[^.]{0,40}(?:is|was) (?:o` + `pen|c` + `losed)`)

// checkWords counts the lines with vague words, and finds hubs that are neither available nor tripped.
func (t *Tree) checkWords() []string {
	var wrong, where []string
	total := 0
	for _, file := range t.files {
		if ext := path.Ext(file); ext != ".go" && ext != ".md" {
			continue
		}
		text, err := t.text(file)
		if err != nil {
			return append(wrong, err.Error())
		}
		number, vague := 0, 0
		for line := range strings.Lines(text) {
			number++
			if vagueWords.MatchString(line) {
				vague++
			}
			if found := brokenCircuit.FindString(line); found != "" {
				wrong = append(wrong, fmt.Sprintf("%s:%d: %q: a hub is available or tripped", file, number, found))
			}
		}
		if vague > 0 {
			total += vague
			where = append(where, fmt.Sprintf("%s %d", file, vague))
		}
	}
	if total > WordBudget {
		wrong = append(wrong, fmt.Sprintf("%d lines match %s, at most %d: say the noun or the verb that is meant (%s)", total, vagueWords, WordBudget, strings.Join(where, ", ")))
	}
	return wrong
}

// machinePath is a path that exists on one person's machine only.
var machinePath = regexp.MustCompile(`(?:^|[\s"'=:(\x60])/(?:root|home/[a-z][a-z0-9_-]*|Users/[A-Za-z]+)/[A-Za-z0-9_.-]`)

// CheckMachinePaths finds home directories of the person who wrote a file.
func CheckMachinePaths(t *Tree) []string {
	var wrong []string
	for _, file := range t.files {
		text, err := t.text(file)
		if err != nil {
			return append(wrong, err.Error())
		}
		if strings.ContainsRune(text, 0) {
			continue
		}
		number := 0
		for line := range strings.Lines(text) {
			number++
			if found := machinePath.FindString(line); found != "" {
				wrong = append(wrong, fmt.Sprintf("%s:%d: %q is a path of one machine", file, number, strings.TrimSpace(found)))
			}
		}
	}
	return wrong
}
