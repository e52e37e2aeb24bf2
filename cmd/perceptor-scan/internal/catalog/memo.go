package catalog

import (
	"context"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/anchore/syft/syft/artifact"
	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/pkg"

	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/layers"
)

const (
	// maxMemos is how many runs of each cataloger are remembered: one for each base that many images share.
	maxMemos = 16
	// maxQuestions and maxRemembered bound one run that is remembered.
	maxQuestions  = 200_000
	maxRemembered = 20_000 // packages
)

// memo is a run of a cataloger: what it asked, what it was answered, and what it found. A cataloger that would be answered the
// same finds the same, since it has nothing but the answers.
type memo struct {
	questions     []question
	sums          []sum
	packages      []pkg.Package
	relationships []artifact.Relationship
	notes         *notes
}

// holds reports whether an image gives the answers that the run was given.
func (m *memo) holds(image *answers) bool {
	for i, q := range m.questions {
		if image.ask(q).sum != m.sums[i] {
			return false
		}
	}
	return true
}

// memos are the runs that a process remembers, by cataloger, the last used one first.
type memos struct {
	mu     sync.Mutex
	byName map[string][]*memo
	// ran counts the runs, for tests.
	ran map[string]int
}

func newMemos() *memos {
	return &memos{byName: map[string][]*memo{}, ran: map[string]int{}}
}

func (m *memos) find(name string, image *answers) *memo {
	m.mu.Lock()
	candidates := slices.Clone(m.byName[name])
	m.mu.Unlock()
	for _, each := range candidates {
		if each.holds(image) {
			m.put(name, each)
			return each
		}
	}
	return nil
}

func (m *memos) put(name string, first *memo) {
	m.mu.Lock()
	defer m.mu.Unlock()
	others := slices.DeleteFunc(m.byName[name], func(each *memo) bool { return each == first })
	m.byName[name] = append([]*memo{first}, others[:min(len(others), maxMemos-1)]...)
}

func (m *memos) countRun(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ran[name]++
}

// memoised is a cataloger that runs only where it could find something else than before.
type memoised struct {
	pkg.Cataloger
	memos *memos
}

// Catalog answers with what the cataloger has found, now or in an image that looks the same to it.
func (m memoised) Catalog(ctx context.Context, files file.Resolver) ([]pkg.Package, []artifact.Relationship, error) {
	image, is := files.(*resolver)
	if !is {
		return m.Cataloger.Catalog(ctx, files)
	}
	name := m.Name()
	if known := m.memos.find(name, image.answers); known != nil {
		image.notes.merge(known.notes)
		return copyOf(known.packages), slices.Clone(known.relationships), nil
	}
	m.memos.countRun(name)
	asking := &asking{resolver: &resolver{answers: image.answers, notes: newNotes()}, needs: needs[name], looksFor: looksFor[name], seen: map[string]bool{}}
	packages, relationships, err := m.Cataloger.Catalog(ctx, asking)
	image.notes.merge(asking.notes)
	// A run that failed or was cancelled could end otherwise the next time.
	if err == nil && ctx.Err() == nil && asking.isWhole() && len(packages) <= maxRemembered {
		m.memos.put(name, &memo{
			questions: asking.questions, sums: asking.sums, notes: asking.notes,
			packages: copyOf(packages), relationships: slices.Clone(relationships),
		})
	}
	return packages, relationships, err
}

// copyOf copies packages with what Syft changes in them later.
func copyOf(all []pkg.Package) []pkg.Package {
	copies := slices.Clone(all)
	for i := range copies {
		p := &copies[i]
		p.Locations = file.NewLocationSet(p.Locations.ToUnorderedSlice()...)
		p.Licenses = pkg.NewLicenseSet(p.Licenses.ToSlice()...)
		p.CPEs = slices.Clone(p.CPEs)
	}
	return copies
}

// asking is an image as one cataloger sees it, with its questions written down.
type asking struct {
	*resolver
	needs layers.Traits
	// looksFor is in all paths that interest the cataloger; empty where that is not known.
	looksFor string

	mu        sync.Mutex
	seen      map[string]bool
	questions []question
	sums      []sum
	// all says that the cataloger has looked at all files, so that it depends on all of them.
	all bool
}

func (a *asking) isWhole() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.all && len(a.questions) <= maxQuestions
}

func (a *asking) ask(q question) answer {
	got := a.answers.ask(q)
	key := q.key()
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.seen[key] && len(a.questions) <= maxQuestions {
		a.seen[key] = true
		a.questions, a.sums = append(a.questions, q), append(a.sums, got.sum)
	}
	return got
}

// HasPath reports whether there is a file.
func (a *asking) HasPath(path string) bool {
	return a.ask(question{kind: hasPath, args: []string{path}}).has
}

// FilesByPath finds files by their paths.
func (a *asking) FilesByPath(paths ...string) ([]file.Location, error) {
	got := a.ask(question{kind: byPath, args: slices.Clone(paths)})
	return slices.Clone(got.locations), got.err
}

// FilesByGlob finds files by patterns.
func (a *asking) FilesByGlob(patterns ...string) ([]file.Location, error) {
	got := a.ask(question{kind: byGlob, args: slices.Clone(patterns)})
	return slices.Clone(got.locations), got.err
}

// FilesByMIMEType finds programs in which the cataloger could find something.
func (a *asking) FilesByMIMEType(types ...string) ([]file.Location, error) {
	got := a.ask(question{kind: byType, needs: a.needs, args: slices.Clone(types)})
	return slices.Clone(got.locations), got.err
}

// RelativeFileByPath finds one file. In an image whose layers are put together, that is a question about a path.
func (a *asking) RelativeFileByPath(_ file.Location, path string) *file.Location {
	found, err := a.FilesByPath(path)
	if err != nil || len(found) == 0 {
		return nil
	}
	return &found[0]
}

// FileContentsByLocation opens a file. What a link leads to is a question too.
func (a *asking) FileContentsByLocation(l file.Location) (io.ReadCloser, error) {
	if a.isLink(l) {
		if _, err := a.FilesByPath(l.RealPath); err != nil {
			return nil, err
		}
	}
	return a.resolver.FileContentsByLocation(l)
}

// AllLocations are all files, as far as they interest the cataloger.
func (a *asking) AllLocations(ctx context.Context) <-chan file.Location {
	if a.looksFor == "" {
		a.mu.Lock()
		a.all = true
		a.mu.Unlock()
		return a.resolver.AllLocations(ctx)
	}
	found := a.ask(question{kind: byPart, args: []string{a.looksFor}}).locations
	all := make(chan file.Location)
	go func() {
		defer close(all)
		for _, l := range found {
			select {
			case all <- l:
			case <-ctx.Done():
				return
			}
		}
	}()
	return all
}

// merge takes over what others have noted.
func (n *notes) merge(others *notes) {
	others.mutex.Lock()
	unread, removed := maps.Clone(others.unread), maps.Clone(others.removed)
	others.mutex.Unlock()
	for path, reason := range unread {
		n.note(path, reason)
	}
	for path := range removed {
		n.noteRemoved(path)
	}
}
