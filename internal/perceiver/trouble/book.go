// Package trouble keeps account of what a perceiver cannot do at the moment: read pods, nodes or namespaces, or write marks.
// What cannot be read is not absent, and what cannot be written is not as it should be: both are logged once at the beginning
// and once at the end, counted, and reported.
//
// What may not go in: calls of any platform.
package trouble

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/perceptor/perceptor/model"
)

// quiet is how long nothing may fail before a success counts as recovery: among many pods, some may be refused and others not.
const quiet = 30 * time.Second

// Book is what cannot be done now. It is safe for concurrent use.
type Book struct {
	logger *slog.Logger

	lock     sync.Mutex
	troubles map[model.TroubleKind]*entry
	refused  int64
}

type entry struct {
	model.Trouble
	// last is when it failed last, and worked when it was done after that; zero when it was not.
	last, worked time.Time
}

// New is a book without entries.
func New(logger *slog.Logger) *Book {
	return &Book{logger: logger, troubles: map[model.TroubleKind]*entry{}}
}

// Fail notes that something could not be done, and why.
func (b *Book) Fail(kind model.TroubleKind, reason string, now time.Time) {
	b.lock.Lock()
	defer b.lock.Unlock()
	if kind == model.TroubleWrite {
		b.refused++
	}
	known := b.troubles[kind]
	if known == nil {
		known = &entry{Trouble: model.Trouble{Kind: kind, Since: now}}
		b.troubles[kind] = known
		b.logger.Warn("the perceiver cannot do its work", "what", string(kind), "error", reason)
	}
	known.Reason, known.last, known.worked = reason, now, time.Time{}
	known.Count++
}

// Work notes that something could be done.
func (b *Book) Work(kind model.TroubleKind, now time.Time) {
	b.lock.Lock()
	defer b.lock.Unlock()
	known := b.troubles[kind]
	if known != nil {
		known.worked = now
		b.settle(kind, now)
	}
}

// settle ends a trouble when its work was done after the last failure, and nothing has failed since for a while.
func (b *Book) settle(kind model.TroubleKind, now time.Time) {
	known := b.troubles[kind]
	if known.worked.IsZero() || kind == model.TroubleWrite && now.Sub(known.last) < quiet {
		return
	}
	delete(b.troubles, kind)
	b.logger.Warn("the perceiver can do its work again", "what", string(kind), "after", now.Sub(known.Since).Round(time.Second), "failures", known.Count)
}

// List is what cannot be done now, in the order of the kinds, and how many writes were refused so far.
func (b *Book) List(now time.Time) (troubles []model.Trouble, refused int64) {
	b.lock.Lock()
	defer b.lock.Unlock()
	for _, kind := range slices.Sorted(maps.Keys(b.troubles)) {
		b.settle(kind, now)
		if b.troubles[kind] == nil {
			continue
		}
		troubles = append(troubles, b.troubles[kind].Trouble)
	}
	return troubles, b.refused
}

// How often the book is looked at, and how often it is reported although it has not changed.
const (
	lookEvery   = 2 * time.Second
	repeatEvery = 5 * time.Minute
)

// Report sends what cannot be done, when that changes and now and then, until ctx ends. What could not be sent is sent again. Send may
// be nil.
func (b *Book) Report(ctx context.Context, send func(context.Context, model.PerceiverHealth) error) {
	if send == nil {
		return
	}
	last, at := "", time.Time{}
	for {
		list, refused := b.List(time.Now())
		var kinds strings.Builder
		for _, each := range list {
			kinds.WriteString(string(each.Kind) + each.Since.String())
		}
		if now := time.Now(); kinds.String() != last || now.Sub(at) >= repeatEvery {
			if err := send(ctx, model.PerceiverHealth{Troubles: list, Refused: refused}); err == nil {
				last, at = kinds.String(), now
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookEvery):
		}
	}
}
