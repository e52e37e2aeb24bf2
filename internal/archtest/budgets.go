package archtest

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strings"
)

// Budgets in lines. They are about twice what good Go needs at its 90th percentile: room for the rare long table,
// none for a file that collects a program.
const (
	FileBudget     = 300
	FunctionBudget = 50
	MainBudget     = 60 // the file that declares func main
	ReadmeBudget   = 200
)

// CheckBudgets measures files and functions. Tests and generated files have no budget.
func CheckBudgets(t *Tree) []string {
	var wrong []string
	for _, file := range t.code {
		if file.test || ast.IsGenerated(file.syntax) {
			continue
		}
		if lines := t.lines(file.syntax.FileStart, file.syntax.FileEnd-1); lines > FileBudget {
			wrong = append(wrong, fmt.Sprintf("%s: %d lines, at most %d: give a part of it a file of its own", file.path, lines, FileBudget))
		}
		for _, declaration := range file.syntax.Decls {
			if function, ok := declaration.(*ast.FuncDecl); ok {
				wrong = append(wrong, t.checkFunction(file, function)...)
			}
		}
	}
	return wrong
}

func (t *Tree) checkFunction(file source, function *ast.FuncDecl) []string {
	var wrong []string
	if lines := t.lines(function.Type.Pos(), function.End()); lines > FunctionBudget {
		wrong = append(wrong, fmt.Sprintf("%s: function %s has %d lines, at most %d: name a part of it", file.path, function.Name.Name, lines, FunctionBudget))
	}
	if file.program() && function.Recv == nil && function.Name.Name == "main" {
		if lines := t.lines(file.syntax.FileStart, file.syntax.FileEnd-1); lines >= MainBudget {
			wrong = append(wrong, fmt.Sprintf("%s: %d lines beside func main, fewer than %d wanted: main only starts the program", file.path, lines, MainBudget))
		}
	}
	return wrong
}

// CheckPackageComments wants every package to say what it is, once, beginning "Package name" outside programs.
func CheckPackageComments(t *Tree) []string {
	said := map[string][]string{}
	programs := map[string]bool{}
	var wrong []string
	for _, file := range t.code {
		if file.test {
			continue
		}
		dir := file.dir()
		programs[dir] = programs[dir] || file.program()
		comment := file.syntax.Doc.Text()
		said[dir] = append(said[dir], comment)
		if name := file.syntax.Name.Name; comment != "" && !file.program() && !strings.HasPrefix(comment, "Package "+name+" ") {
			wrong = append(wrong, fmt.Sprintf("%s: the package comment begins \"Package %s\" and a verb", file.path, name))
		}
	}
	for dir, comments := range said {
		written := slices.DeleteFunc(comments, func(comment string) bool { return strings.TrimSpace(comment) == "" })
		if len(written) == 0 {
			wrong = append(wrong, fmt.Sprintf("%s: no package comment: say in %s what the package is for", dir, docFile(dir, programs[dir])))
		}
		if len(written) > 1 {
			wrong = append(wrong, fmt.Sprintf("%s: %d package comments: only the first would be read", dir, len(written)))
		}
	}
	slices.Sort(wrong)
	return wrong
}

func docFile(dir string, program bool) string {
	if program {
		return path.Join(dir, "main.go")
	}
	return path.Join(dir, "doc.go")
}

// vague are names that say where code was put and not what it is.
var vague = []string{"util", "utils", "common", "shared", "helpers", "helper", "misc", "types", "models", "pkg", "lib"}

// CheckNames keeps folders from being named for nothing.
func CheckNames(t *Tree) []string {
	var wrong []string
	for _, dir := range t.dirs {
		if slices.Contains(vague, path.Base(dir)) {
			wrong = append(wrong, fmt.Sprintf("%s: name the folder for what it is", dir))
		}
	}
	return wrong
}
