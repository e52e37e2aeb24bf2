package layers

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/anchore/stereoscope/pkg/file"
)

// The bounds of one layer. The largest images known have some hundred thousand files.
const (
	maxEntries = 2_000_000
	// maxPath is the kernel's own limit: no runtime can make a longer path.
	maxPath = 4096
	// maxHops is how many links the kernel follows on the way to a file.
	maxHops = 40
	// maxSteps bounds all steps from folder to folder. Ordinary layers take less than twenty for each entry.
	maxSteps = 100_000_000
)

// errBounds is a layer that no runtime could unpack, or that was made to take all memory or time.
var errBounds = errors.New("the layer is out of bounds")

// node is a path of a layer while its tar is read. A folder that the tar only implies has no entry.
type node struct {
	entry    *Entry
	parent   *node
	name     string
	length   int // of the path
	children map[string]*node
	// order is the number of the tar's entry that has made the node what it is.
	order int
}

func (n *node) isFolder() bool { return n.entry == nil || n.entry.Type == file.TypeDirectory }

// tree is a layer while its tar is read. Entries are applied in order, as a runtime unpacks them into an empty folder.
type tree struct {
	root  *node
	made  int
	steps int
	order int
	// lastDir and last are the folder of the entry before, which most often is that of the next one too.
	lastDir string
	last    *node
}

func newTree() *tree { return &tree{root: &node{}} }

// folder is the node of a folder, with links of this layer followed on the way. Folders that are missing are made where missing is set,
// else the answer is nil.
func (t *tree) folder(dir string, missing bool) (*node, error) {
	if t.last != nil && dir == t.lastDir {
		return t.last, nil
	}
	at, pending, hops := t.root, split(dir), 0
	for len(pending) > 0 {
		if t.steps++; t.steps > maxSteps {
			return nil, fmt.Errorf("%w: its links lead through more than %d folders", errBounds, maxSteps)
		}
		name := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		if name == ".." {
			if at.parent != nil {
				at = at.parent
			}
			continue
		}
		next := at.children[name]
		switch {
		case next == nil && !missing:
			return nil, nil
		case next == nil:
			var err error
			if next, err = t.child(at, name); err != nil {
				return nil, err
			}
		case next.entry != nil && next.entry.Type == file.TypeSymLink && hops < maxHops:
			hops++
			if path.IsAbs(next.entry.Link) {
				at = t.root
			}
			pending = append(pending, split(next.entry.Link)...)
			continue
		}
		at = next
	}
	t.lastDir, t.last = dir, at
	return at, nil
}

// split is a path's names, the last one first.
func split(dir string) []string {
	var names []string
	for name := range strings.SplitSeq(dir, "/") {
		if name != "" && name != "." {
			names = append(names, name)
		}
	}
	slices.Reverse(names)
	return names
}

func (t *tree) child(at *node, name string) (*node, error) {
	if t.made++; t.made > maxEntries {
		return nil, fmt.Errorf("%w: it has more than %d entries", errBounds, maxEntries)
	}
	if at.children == nil {
		at.children = map[string]*node{}
	}
	made := &node{parent: at, name: name, length: at.length + 1 + len(name), order: t.order}
	if made.length > maxPath {
		return nil, fmt.Errorf("%w: a path of it has more than %d bytes", errBounds, maxPath)
	}
	at.children[name] = made
	return made, nil
}

// forget drops the remembered folder: the paths of folders may mean something else now.
func (t *tree) forget() { t.lastDir, t.last = "", nil }

// add applies the tar's next entry. What stood at its path is removed, unless both are folders.
func (t *tree) add(e Entry) error {
	t.order++
	if len(e.Link) > maxPath {
		return fmt.Errorf("%w: a link of it has more than %d bytes", errBounds, maxPath)
	}
	if e.Path == "/" {
		if e.Type == file.TypeDirectory {
			t.root.entry, t.root.order = &e, t.order
		}
		return nil
	}
	at, err := t.folder(path.Dir(e.Path), true)
	if err != nil {
		return err
	}
	name := path.Base(e.Path)
	old := at.children[name]
	if old != nil && (e.Type != file.TypeDirectory || !old.isFolder()) {
		delete(at.children, name)
		t.forget()
		old = nil
	}
	if e.Type == file.TypeHardLink {
		if err := t.link(&e); err != nil {
			return err
		}
	}
	if old == nil {
		if old, err = t.child(at, name); err != nil {
			return err
		}
	}
	old.entry, old.order = &e, t.order
	return nil
}

// link makes a hard link the file that it names, if that stands in this layer. Else the file stands in a layer below.
func (t *tree) link(e *Entry) error {
	e.Link = path.Clean("/" + e.Link)
	last, lastDir := t.last, t.lastDir
	at, err := t.folder(path.Dir(e.Link), false)
	t.last, t.lastDir = last, lastDir
	if err != nil || at == nil {
		return err
	}
	target := at.children[path.Base(e.Link)]
	if target == nil || target.entry == nil || target.entry.Type == file.TypeDirectory {
		return nil
	}
	e.adopt(target.entry)
	return nil
}

// impliedMode is what runtimes give to folders that no entry describes.
const impliedMode = fs.ModeDir | 0o755

// entries are all paths, in the order of the tar. A folder that is only implied comes before what implies it.
func (t *tree) entries() []Entry {
	nodes := make([]*node, 0, t.made+1)
	pending := []*node{t.root}
	for len(pending) > 0 {
		at := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		if at.parent != nil || at.entry != nil {
			nodes = append(nodes, at)
		}
		for _, child := range at.children {
			pending = append(pending, child)
		}
	}
	paths := make(map[*node]string, len(nodes))
	// A folder stands before what is in it, and stays there where the order is the same.
	slices.SortStableFunc(nodes, func(a, b *node) int { return a.order - b.order })
	all := make([]Entry, 0, len(nodes))
	for _, at := range nodes {
		e := Entry{Type: file.TypeDirectory, Mode: impliedMode}
		if at.entry != nil {
			e = *at.entry
		}
		e.Path = pathOf(at, paths)
		all = append(all, e)
	}
	return all
}

// pathOf is where a node stands, with links followed: an entry below a link of its own layer is unpacked to where the link
// leads.
func pathOf(at *node, known map[*node]string) string {
	if at.parent == nil {
		return "/"
	}
	if where, is := known[at]; is {
		return where
	}
	above := pathOf(at.parent, known)
	where := strings.TrimSuffix(above, "/") + "/" + at.name
	known[at] = where
	return where
}
