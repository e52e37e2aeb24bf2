package catalog

import (
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	stereoscope "github.com/anchore/stereoscope/pkg/file"
	"github.com/anchore/syft/syft/file"

	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/layers"
)

// kind is what a question is about.
type kind byte

const (
	byPath kind = iota
	byGlob
	byType
	hasPath
	byPart
)

// question is what a cataloger asks of an image: which files there are. What is in them needs no question: the layer and the
// path of a file say that.
type question struct {
	kind kind
	// needs is the trait without which a program cannot be meant; zero where all are.
	needs layers.Traits
	args  []string
}

func (q question) key() string {
	return string([]byte{byte(q.kind), byte(q.needs)}) + strings.Join(q.args, "\x00")
}

// sum identifies an answer.
type sum [16]byte

// answer is what the image says to a question.
type answer struct {
	locations []file.Location
	has       bool
	err       error
	sum       sum
}

// answers is an image of which each question is asked once: most catalogers ask some questions that others ask too.
type answers struct {
	file.Resolver
	image *layers.Image

	mu    sync.Mutex
	known map[string]answer
}

func (a *answers) ask(q question) answer {
	key := q.key()
	a.mu.Lock()
	known, is := a.known[key]
	a.mu.Unlock()
	if is {
		return known
	}
	var got answer
	switch q.kind {
	case byPath:
		got.locations, got.err = a.FilesByPath(q.args...)
	case byGlob:
		got.locations, got.err = a.FilesByGlob(q.args...)
	case byType:
		got.locations, got.err = a.programs(q)
	case hasPath:
		got.has = a.HasPath(q.args[0])
	case byPart:
		got.locations = a.withPart(q.args[0])
	}
	got.sum = a.sumOf(got)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known[key] = got
	return got
}

// programs are the programs of some types that can be meant. The index knows the types of programs alone.
func (a *answers) programs(q question) ([]file.Location, error) {
	for _, each := range q.args {
		if !programTypes[each] {
			return nil, fmt.Errorf("look for files of the type %q: only programs are looked for by type", each)
		}
	}
	all, err := a.FilesByMIMEType(q.args...)
	if err != nil || q.needs == 0 {
		return all, err
	}
	return slices.DeleteFunc(all, func(l file.Location) bool {
		traits := a.image.Traits(l.Reference())
		return traits.Has(layers.Parsed) && !traits.Has(q.needs)
	}), nil
}

// withPart are the files with some text in their paths.
func (a *answers) withPart(text string) []file.Location {
	if !a.image.HasPart(text) {
		return nil
	}
	var found []file.Location
	for _, each := range a.image.SquashedTree().AllFiles(stereoscope.AllTypes()...) {
		if strings.Contains(string(each.RealPath), text) {
			found = append(found, file.NewLocationFromImage(string(each.RealPath), each, a.image.Image))
		}
	}
	return found
}

// sumOf covers all that decides what a cataloger sees: the layers, the paths, and the contents that a layer does not hold itself.
func (a *answers) sumOf(got answer) (short sum) {
	whole := sha256.New()
	for _, l := range got.locations {
		_, _ = io.WriteString(whole, l.FileSystemID+"\x00"+l.RealPath+"\x00"+l.AccessPath+"\x00"+a.image.Origin(l.Reference())+"\x01")
	}
	if got.err != nil {
		_, _ = io.WriteString(whole, "\x02"+got.err.Error())
	}
	if got.has {
		_, _ = io.WriteString(whole, "\x03")
	}
	copy(short[:], whole.Sum(nil))
	return short
}

// isLink reports whether a location leads on to another file.
func (a *answers) isLink(l file.Location) bool {
	entry, err := a.image.FileCatalog.Get(l.Reference())
	return err == nil && entry.LinkDestination != ""
}
