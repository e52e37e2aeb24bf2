package archtest

import (
	"fmt"
	"path"
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
