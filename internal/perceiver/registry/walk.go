package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/perceptor/perceptor/model"
)

const (
	// requestsAtOnce bounds the load of the registry by one walk.
	requestsAtOnce = 4
	// soonest is the shortest time between two walks that events ask for.
	soonest = time.Minute
	// namesAtMost bounds one list of names, pagesAtMost its pages: a registry must not make a walk endless.
	namesAtMost = 1_000_000
	pagesAtMost = 100_000
	// awayAfter is after how many repositories in a row that fail the registry counts as away.
	awayAfter = 3
)

// walk is one walk through all tags. It goes on where it was when the registry was away.
type walk struct {
	*Perceiver
	begun time.Time
	// listed says that the list of repositories is complete; page is where it goes on before that.
	listed bool
	page   string
	pages  int
	seen   map[string]bool
	// pending are repositories to be read, failed those that could not be.
	pending, failed []string
	tags            int
}

// walks reads all tags at the start, at each interval, and when an event asks for it.
func (p *Perceiver) walks(ctx context.Context) {
	known := map[string]bool{}
	for ctx.Err() == nil {
		w := &walk{Perceiver: p, begun: time.Now(), seen: map[string]bool{}}
		w.complete(ctx, known)
		if ctx.Err() != nil {
			return
		}
		p.metrics.walked(time.Since(w.begun), len(w.failed))
		p.options.Logger.Info("walk ended", "repositories", len(w.seen), "unreadable", len(w.failed), "tags", w.tags, "took", time.Since(w.begun).Round(time.Millisecond))
		known = w.seen
		next := time.After(p.options.WalkInterval)
		select {
		case <-ctx.Done():
		case <-next:
		case <-p.soon:
			select {
			case <-ctx.Done():
			case <-next:
			case <-time.After(min(soonest, p.options.WalkInterval) - min(time.Since(w.begun), soonest)):
			}
		}
	}
}

// walkSoon asks for a walk before its time.
func (p *Perceiver) walkSoon() {
	select {
	case p.soon <- struct{}{}:
	default:
	}
}

// complete walks to the end, however often the registry is away. Known are the repositories of the walk before: one that the catalogue
// no longer names is asked too.
func (w *walk) complete(ctx context.Context, known map[string]bool) {
	for failures := 0; ctx.Err() == nil; {
		progress := len(w.pending) + w.pages
		err := w.on(ctx, known)
		if err == nil {
			break
		}
		if progress != len(w.pending)+w.pages {
			failures = 0
		}
		failures++
		pause := pauseAfter(failures)
		if ctx.Err() == nil {
			w.troubles.Fail(model.TroubleReadPods, clip(err.Error()), time.Now())
			w.options.Logger.Warn("the registry does not answer; the walk goes on from here", "repositories", len(w.seen), "pending", len(w.pending),
				"pause", pause.Round(time.Millisecond), "error", err)
		}
		sleep(ctx, pause)
	}
	if len(w.failed) > 0 {
		w.troubles.Fail(model.TroubleReadPods, fmt.Sprintf("%d repositories could not be read, such as %s", len(w.failed), w.failed[0]), time.Now())
	} else if ctx.Err() == nil {
		w.troubles.Work(model.TroubleReadPods, time.Now())
	}
	w.submit(ctx, update{failed: w.failed, walked: true})
}

// on walks from where the walk is.
func (w *walk) on(ctx context.Context, known map[string]bool) error {
	if !w.listed {
		if err := w.list(ctx, known); err != nil {
			return err
		}
	}
	inARow := 0
	for len(w.pending) > 0 {
		repository := w.pending[0]
		read, err := w.readAll(ctx, repository)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			inARow = 0
			w.tags += len(read.tags)
			w.submit(ctx, update{readings: []reading{read}})
		default:
			if inARow++; inARow >= awayAfter && classOf(err).Temporary() {
				// They are read again when the registry answers.
				back := min(awayAfter-1, len(w.failed))
				w.pending = append(w.pending, w.failed[len(w.failed)-back:]...)
				w.failed = w.failed[:len(w.failed)-back]
				return err
			}
			w.options.Logger.Warn("a repository could not be read; what was known of it stays", "repository", repository, "error", err)
			w.failed = append(w.failed, repository)
		}
		w.pending = w.pending[1:]
	}
	return nil
}

// list lists the repositories, page by page.
func (w *walk) list(ctx context.Context, known map[string]bool) error {
	if len(w.options.Repositories) > 0 {
		w.add(w.options.Repositories)
		w.listed = true
		return nil
	}
	s, err := w.client.catalogue(ctx)
	if err != nil {
		if !classOf(err).Temporary() {
			w.options.Logger.Error("the registry does not list its repositories to this login; name them in the configuration, or give another login", "error", err)
		}
		return err
	}
	for {
		names, next, err := s.repositories(ctx, w.page)
		if err != nil {
			if !classOf(err).Temporary() {
				w.page = "" // a place that is no longer one
			}
			return err
		}
		w.add(names)
		w.pages++
		if next == "" {
			break
		}
		if next == w.page || w.pages >= pagesAtMost || len(w.seen) >= namesAtMost {
			return &Error{What: "list repositories", Err: fmt.Errorf("the list does not end after %d pages with %d names", w.pages, len(w.seen))}
		}
		w.page = next
	}
	w.add(slices.Sorted(maps.Keys(known)))
	w.add(w.noticed.take())
	w.listed = true
	return nil
}

// add adds repositories that are of interest.
func (w *walk) add(names []string) {
	for _, name := range names {
		if !isRepository(name) {
			w.options.Logger.Warn("the registry names a repository that cannot be one; it is left out", "repository", clip(name))
			continue
		}
		if w.seen[name] || !w.wanted(name) {
			continue
		}
		w.seen[name] = true
		w.pending = append(w.pending, name)
	}
}

// wanted reports whether a repository is of interest.
func (p *Perceiver) wanted(repository string) bool {
	if len(p.options.Repositories) > 0 && !slices.Contains(p.options.Repositories, repository) {
		return false
	}
	return p.filter.Allows(namespaceOf(repository)) && !p.filter.Ignores(p.options.Host+"/"+repository)
}

// submit has an update reported.
func (p *Perceiver) submit(ctx context.Context, u update) {
	select {
	case p.updates <- u:
	case <-ctx.Done():
	}
}

// readAll reads all tags of a repository. One that is not there has none.
func (p *Perceiver) readAll(ctx context.Context, repository string) (reading, error) {
	read := reading{repository: repository, whole: true, begun: p.clock.Add(1), tags: map[string]model.Digest{}}
	s, err := p.client.repository(ctx, repository)
	if err != nil {
		return read, err
	}
	var tags []string
	for page, pages := "", 0; ; pages++ {
		names, next, err := s.tags(ctx, repository, page)
		if isAbsent(err) && page == "" {
			return read, nil
		}
		if err != nil {
			return read, err
		}
		for _, name := range names {
			if isImageTag(name) && !p.filter.Ignores(p.options.Host+"/"+repository+":"+name) {
				tags = append(tags, name)
			}
		}
		if next == "" {
			break
		}
		if next == page || pages >= pagesAtMost || len(tags) >= namesAtMost {
			return read, &Error{What: "list tags of " + repository, Err: errors.New("the list does not end")}
		}
		page = next
	}
	read.tags, err = readTags(ctx, s, repository, tags)
	return read, err
}

// readSome reads some tags of a repository.
func (p *Perceiver) readSome(ctx context.Context, repository string, tags []string) (reading, error) {
	read := reading{repository: repository, begun: p.clock.Add(1)}
	s, err := p.client.repository(ctx, repository)
	if err != nil {
		return read, err
	}
	read.tags, err = readTags(ctx, s, repository, tags)
	return read, err
}

func readTags(ctx context.Context, s *session, repository string, tags []string) (map[string]model.Digest, error) {
	digests := make(map[string]model.Digest, len(tags))
	var lock sync.Mutex
	group, running := errgroup.WithContext(ctx)
	group.SetLimit(requestsAtOnce)
	for _, tag := range tags {
		group.Go(func() error {
			digest, err := s.digest(running, repository, tag)
			if err != nil {
				return err
			}
			lock.Lock()
			defer lock.Unlock()
			digests[tag] = digest
			return nil
		})
	}
	return digests, group.Wait()
}

// notices are repositories that events have named. The next walk reads them, whether or not the catalogue names them. It is safe for
// concurrent use.
type notices struct {
	lock  sync.Mutex
	names map[string]bool
}

func (n *notices) add(repository string) {
	n.lock.Lock()
	defer n.lock.Unlock()
	if n.names == nil {
		n.names = map[string]bool{}
	}
	if len(n.names) < namesAtMost {
		n.names[repository] = true
	}
}

func (n *notices) take() []string {
	n.lock.Lock()
	defer n.lock.Unlock()
	names := slices.Sorted(maps.Keys(n.names))
	n.names = nil
	return names
}
