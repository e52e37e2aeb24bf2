package archtest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Module is the path of the root module; the modules under cmd have it as their prefix.
const Module = "github.com/perceptor/perceptor"

// Tree is a repository as it stands on disk, without version control's own files and without build outputs.
type Tree struct {
	root  string
	files []string // every file, relative, with slashes, sorted
	dirs  []string // every folder but the root, likewise
	code  []source // every Go file outside testdata
	fset  *token.FileSet
}

// source is one parsed Go file.
type source struct {
	path    string
	test    bool
	imports []string
	syntax  *ast.File
}

// dir is the folder of the file, "." for the root.
func (s source) dir() string { return path.Dir(s.path) }

// program reports whether the file is part of an executable.
func (s source) program() bool { return s.syntax.Name.Name == "main" }

// skipped are the folders at the root that are not the repository's own content.
var skipped = []string{".git", "bin"}

// Read walks the repository under root and parses its Go files.
func Read(root string) (*Tree, error) {
	tree := &Tree{root: root, fset: token.NewFileSet()}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil || relative == "." {
			return err
		}
		return tree.add(filepath.ToSlash(relative), entry)
	})
	if err != nil {
		return nil, fmt.Errorf("read tree: %w", err)
	}
	return tree, nil
}

// add takes one entry of the walk into the tree.
func (t *Tree) add(name string, entry fs.DirEntry) error {
	if entry.IsDir() {
		if slices.Contains(skipped, name) {
			return fs.SkipDir
		}
		t.dirs = append(t.dirs, name)
		return nil
	}
	t.files = append(t.files, name)
	if path.Ext(name) != ".go" || slices.Contains(strings.Split(name, "/"), "testdata") {
		return nil
	}
	text, err := t.text(name)
	if err != nil {
		return err
	}
	syntax, err := parser.ParseFile(t.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	file := source{path: name, test: strings.HasSuffix(name, "_test.go"), syntax: syntax}
	for _, spec := range syntax.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return fmt.Errorf("%s: import %s: %w", name, spec.Path.Value, err)
		}
		file.imports = append(file.imports, imported)
	}
	t.code = append(t.code, file)
	return nil
}

// text is the content of a file.
func (t *Tree) text(name string) (string, error) {
	content, err := os.ReadFile(filepath.Join(t.root, filepath.FromSlash(name)))
	return string(content), err
}

// has reports whether the tree holds a file or folder of that name.
func (t *Tree) has(name string) bool {
	_, err := os.Stat(filepath.Join(t.root, filepath.FromSlash(name)))
	return !errors.Is(err, fs.ErrNotExist)
}

// within reports whether a slash path is the folder itself or lies below it.
func within(name, folder string) bool {
	return name == folder || strings.HasPrefix(name, folder+"/")
}
