package archtest

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// treeHeading stands over the fenced block in README.md that draws the tree. A line is "path ...  caption", two spaces
// deeper for each level; folders end in a slash; several paths may share a line.
const treeHeading = "## The tree"

// CheckReadmeTree holds README's tree against the disk: everything drawn exists; everything at the root is drawn,
// dot files aside; and where one folder in a folder is drawn, all of them are.
func CheckReadmeTree(t *Tree) []string {
	readme, err := t.text("README.md")
	if err != nil {
		return []string{err.Error()}
	}
	drawn, err := drawnTree(readme)
	if err != nil {
		return []string{"README.md: " + err.Error()}
	}
	var wrong []string
	open := map[string]bool{}
	for _, name := range drawn {
		if !t.has(name) {
			wrong = append(wrong, fmt.Sprintf("README.md: the tree shows %s, which is not there", name))
		}
		if slices.Contains(t.dirs, name) {
			open[path.Dir(name)] = true
		}
	}
	for _, name := range slices.Concat(t.dirs, t.files) {
		parent := path.Dir(name)
		shown := parent == "." && !strings.HasPrefix(name, ".") || open[parent] && parent != "." && slices.Contains(t.dirs, name) && path.Base(name) != "testdata"
		if shown && !slices.Contains(drawn, name) {
			wrong = append(wrong, fmt.Sprintf("README.md: the tree does not show %s", name))
		}
	}
	return wrong
}

// drawnTree gives the paths drawn in README's tree, relative to the root.
func drawnTree(readme string) ([]string, error) {
	_, after, found := strings.Cut(readme, "\n"+treeHeading+"\n")
	if !found {
		return nil, fmt.Errorf("no heading %q", treeHeading)
	}
	_, block, opened := strings.Cut(after, "```\n")
	block, _, closed := strings.Cut(block, "```")
	if !opened || !closed {
		return nil, fmt.Errorf("no fenced block under %q", treeHeading)
	}
	var drawn, parents []string
	for line := range strings.Lines(block) {
		content := strings.TrimLeft(line, " ")
		depth := (len(line) - len(content)) / 2
		paths, _, _ := strings.Cut(strings.TrimSpace(content), "  ")
		if depth > len(parents) {
			return nil, fmt.Errorf("%q is drawn too deep", strings.TrimSpace(line))
		}
		parents = parents[:depth]
		for name := range strings.FieldsSeq(paths) {
			drawn = append(drawn, path.Join(path.Join(parents...), name))
		}
		parents = append(parents, strings.TrimSuffix(paths, "/"))
	}
	return drawn, nil
}

var (
	link   = regexp.MustCompile(`\]\(([^)#:\s]+)(?:#[^)]*)?\)`)
	target = regexp.MustCompile("`make ([a-z-]+)")
)

// CheckProse looks after what can be checked in Markdown: README's length, links to files, names of make targets.
func CheckProse(t *Tree) []string {
	var wrong []string
	makefile, err := t.text("Makefile")
	if err != nil {
		wrong = append(wrong, err.Error())
	}
	for _, file := range t.files {
		if path.Ext(file) != ".md" {
			continue
		}
		text, err := t.text(file)
		if err != nil {
			return append(wrong, err.Error())
		}
		if lines := strings.Count(text, "\n"); file == "README.md" && lines > ReadmeBudget {
			wrong = append(wrong, fmt.Sprintf("%s: %d lines, at most %d: the rest belongs beside its subject", file, lines, ReadmeBudget))
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

// machinePath is a path that exists on one person's machine only.
var machinePath = regexp.MustCompile(`(?:^|[\s"'=:(\x60])/(?:root|home/[a-z][a-z0-9_-]*|Users/[A-Za-z]+)/[A-Za-z0-9_.-]`)

// CheckMachinePaths finds home directories of whoever wrote a file.
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
