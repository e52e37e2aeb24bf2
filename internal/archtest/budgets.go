package archtest

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strings"
)

// Budgets. A reader keeps a type in mind as a whole, and finds a file of a package by its name in a list. Lines of files and
// functions are the linter's business.
const (
	MethodBudget = 30 // methods of a hand-written type, or of an interface
	FileBudget   = 20 // files of a package, tests aside
)

// exceptions are the types above their budget. One that is within its budget must be deleted from the list.
var exceptions = []named{
	{"workflows/pool", "hubPool"},
	{"internal/lease", "Book"},
}

// named is a type of a package.
type named struct{ dir, name string }

// CheckBudgets counts methods of types and files of packages. Tests are not counted, nor the methods of generated files.
func CheckBudgets(t *Tree) []string {
	methods, files := map[named]int{}, map[string]int{}
	for _, file := range t.code {
		if file.test {
			continue
		}
		files[file.dir()]++
		if ast.IsGenerated(file.syntax) {
			continue
		}
		for _, declaration := range file.syntax.Decls {
			countMethods(methods, file.dir(), declaration)
		}
	}
	needed := map[named]bool{}
	var wrong []string
	for of, count := range methods {
		if count <= MethodBudget {
			continue
		}
		needed[of] = true
		if !slices.Contains(exceptions, of) {
			wrong = append(wrong, fmt.Sprintf("%s: type %s has %d methods, at most %d: make a part of it a type of its own", of.dir, of.name, count, MethodBudget))
		}
	}
	for dir, count := range files {
		if count > FileBudget {
			wrong = append(wrong, fmt.Sprintf("%s: %d files without the tests, at most %d: join those that belong together, or make a part of it a package of its own",
				dir, count, FileBudget))
		}
	}
	for _, each := range exceptions {
		if !needed[each] {
			wrong = append(wrong, fmt.Sprintf("%s: the exception %q is no longer needed: delete it from exceptions in internal/archtest/budgets.go", each.dir, each.name))
		}
	}
	slices.Sort(wrong)
	return wrong
}

// countMethods adds the methods that a declaration gives to types of the folder.
func countMethods(methods map[named]int, dir string, declaration ast.Decl) {
	switch d := declaration.(type) {
	case *ast.FuncDecl:
		if name := receiver(d); name != "" {
			methods[named{dir, name}]++
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			typed, ok := spec.(*ast.TypeSpec)
			if !ok {
				continue
			}
			if face, ok := typed.Type.(*ast.InterfaceType); ok {
				for _, field := range face.Methods.List {
					methods[named{dir, typed.Name.Name}] += len(field.Names)
				}
			}
		}
	}
}

// receiver is the name of the type that a method belongs to, without pointer and type parameters; empty for a function.
func receiver(function *ast.FuncDecl) string {
	if function.Recv == nil || len(function.Recv.List) == 0 {
		return ""
	}
	of := function.Recv.List[0].Type
	for {
		switch inner := of.(type) {
		case *ast.StarExpr:
			of = inner.X
		case *ast.ParenExpr:
			of = inner.X
		case *ast.IndexExpr:
			of = inner.X
		case *ast.IndexListExpr:
			of = inner.X
		case *ast.Ident:
			return inner.Name
		default:
			return ""
		}
	}
}

// Steps is the package of the steps. A step is an exported method of a type whose name ends in stepsSuffix: a worker that
// is given a value of the type registers all of these.
const (
	Steps       = "activities"
	stepsSuffix = "Steps"
)

// CheckSteps wants each file that declares steps to be named after the first of them, and the other steps of the file to be
// of the same type. Other exported functions of these types are not wanted: a worker would register them as steps.
func CheckSteps(t *Tree) []string {
	var wrong []string
	for _, file := range t.code {
		if file.test || file.dir() != Steps {
			continue
		}
		var first *ast.FuncDecl
		for _, declaration := range file.syntax.Decls {
			step, ok := declaration.(*ast.FuncDecl)
			if !ok || !step.Name.IsExported() || !strings.HasSuffix(receiver(step), stepsSuffix) {
				continue
			}
			switch want := path.Join(Steps, snake(step.Name.Name)+".go"); {
			case !takesContext(step):
				wrong = append(wrong, fmt.Sprintf("%s: %s is registered as a step, but takes no context first: write its name small", file.path, step.Name.Name))
			case first == nil && file.path != want:
				wrong = append(wrong, fmt.Sprintf("%s: the first step of the file is %s: name the file %s", file.path, step.Name.Name, want))
			case first != nil && receiver(first) != receiver(step):
				wrong = append(wrong, fmt.Sprintf("%s: %s is a step of %s and %s one of %s: give them files of their own",
					file.path, first.Name.Name, receiver(first), step.Name.Name, receiver(step)))
			}
			if first == nil {
				first = step
			}
		}
	}
	return wrong
}

// takesContext reports whether a function's first parameter is a context.Context.
func takesContext(function *ast.FuncDecl) bool {
	if len(function.Type.Params.List) == 0 {
		return false
	}
	first, ok := function.Type.Params.List[0].Type.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	from, ok := first.X.(*ast.Ident)
	return ok && from.Name == "context" && first.Sel.Name == "Context"
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
