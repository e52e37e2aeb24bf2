package lease

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/perceptor/perceptor/model"
)

// world is everything around a book that can go wrong: scans that come, work, stumble and die; hubs that take time; a
// network that loses, repeats and delays; a pool that is restarted or loses its state. It judges the book by what is
// really going on at the hubs.
type world struct {
	rand   *rand.Rand
	now    time.Time
	book   *Book
	off    guard
	chains []*chain
	hubs   []Config
	works  []*work
	mail   []letter
	log    []string
	keep   bool
	// images is how many there are: few, so that scans of one image meet.
	images int
	stormy bool

	newest    model.AttemptID
	confirmed map[Freed]bool
	freed     map[string]model.AttemptID
	before    []Freed
	past      int
	progress  map[string]*progress
}

// letter is a message on its way to the book.
type letter struct {
	at      time.Time
	deliver func(now time.Time)
}

// work is one upload and what the hub makes of it.
type work struct {
	chain, hub string
	digest     model.Digest
	// The upload ends at accepted, or is refused then; the hub shows it from visible on and is done at done.
	accepted, visible, done time.Time
	refused                 bool
}

// active reports whether the hub is, or may still become, busy with it.
func (w *work) active(now time.Time) bool {
	if w.refused {
		return now.Before(w.accepted)
	}
	return now.Before(w.done)
}

var startOfTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newWorld(seed uint64, off guard) *world {
	w := &world{rand: rand.New(rand.NewPCG(seed, 7)), now: startOfTime, off: off, images: 6, progress: map[string]*progress{}}
	for i := range 1 + w.rand.IntN(3) {
		c := Config{Name: fmt.Sprintf("hub-%c", 'a'+i), Limit: 1 + w.rand.IntN(3)}
		if w.chance(3) {
			c.Settle = 60 * time.Second
		}
		w.hubs = append(w.hubs, c)
	}
	w.fresh(New(w.now))
	return w
}

// fresh starts another book.
func (w *world) fresh(b *Book) {
	w.book, b.off = b, w.off
	w.confirmed, w.freed, w.before = map[Freed]bool{}, map[string]model.AttemptID{}, nil
	if err := b.Configure(w.hubs); err != nil {
		panic(err)
	}
}

// chance is true once in n times.
func (w *world) chance(n int) bool { return w.rand.IntN(n) == 0 }

// note keeps what happens, when a broken history is played again to be read.
func (w *world) note(format string, args ...any) {
	if !w.keep {
		return
	}
	w.log = append(w.log, w.now.Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// send brings a message to the book: usually once and soon, sometimes late, twice or never.
func (w *world) send(what string, deliver func(b *Book, now time.Time)) {
	if w.chance(25) {
		w.note("lost: %s", what)
		return
	}
	w.post(what, deliver)
}

// post brings a message to the book at least once.
func (w *world) post(what string, deliver func(b *Book, now time.Time)) {
	put := func(delay time.Duration) {
		w.mail = append(w.mail, letter{at: w.now.Add(delay), deliver: func(now time.Time) {
			w.note("book gets: %s", what)
			deliver(w.book, now)
		}})
	}
	put(time.Duration(w.rand.IntN(300)) * time.Millisecond)
	if w.chance(8) {
		put(time.Duration(w.rand.IntN(40_000)) * time.Millisecond)
	}
}

// deliver hands out the letters that have arrived.
func (w *world) deliver() {
	var later []letter
	for _, l := range w.mail {
		if l.at.After(w.now) {
			later = append(later, l)
			continue
		}
		l.deliver(w.now)
		w.judge()
	}
	w.mail = later
}

// step lets some time pass, lets the scans act, and then the book.
func (w *world) step() {
	w.now = w.now.Add(w.pause())
	w.deliver()
	for _, c := range w.chains {
		c.act(w)
	}
	w.mischief()
	w.serve()
}

func (w *world) pause() time.Duration {
	switch w.rand.IntN(20) {
	case 0:
		return time.Duration(20+w.rand.IntN(60)) * time.Second
	case 1, 2, 3:
		return time.Duration(1+w.rand.IntN(10)) * time.Second
	case 4, 5:
		return 0
	default:
		return time.Duration(1+w.rand.IntN(1000)) * time.Millisecond
	}
}

// mischief is what operators, nodes and configurations do.
func (w *world) mischief() {
	hub := w.hubs[w.rand.IntN(len(w.hubs))].Name
	what := w.rand.IntN(60)
	if w.stormy {
		// Only limits change and runs end, since everything else would end the patient scan's wait.
		what = 8 * w.rand.IntN(60)
	}
	switch what {
	case 0:
		w.book.SetLimit(hub, 1+w.rand.IntN(4))
	case 1:
		w.book.Pause(hub)
	case 2, 3:
		w.book.Resume(hub)
	case 4:
		w.book.Trip(hub)
	case 5, 6:
		w.book.MakeAvailable(hub)
	case 7:
		w.reconfigure()
	case 8:
		w.restart()
	case 9:
		w.loseState()
	case 10, 11:
		w.kill(w.chains)
	}
	w.judge()
}

// reconfigure changes a limit, disables a hub or takes one away.
func (w *world) reconfigure() {
	i := w.rand.IntN(len(w.hubs))
	hubs := append([]Config(nil), w.hubs...)
	switch w.rand.IntN(4) {
	case 0:
		hubs = append(hubs[:i], hubs[i+1:]...)
	case 1:
		hubs[i].Disabled = true
	default:
		hubs[i].Limit = 1 + w.rand.IntN(4)
	}
	if err := w.book.Configure(hubs); err != nil {
		panic(err)
	}
}

// loseState ends the pool; a cold one takes its place. What the dead hold cannot be known then, so this waits for them.
func (w *world) loseState() {
	for _, each := range w.works {
		if each.active(w.now) && (w.chain(each.chain).closed || w.chain(each.chain).grant == nil) {
			return
		}
	}
	w.note("the pool loses its state")
	w.mail = nil
	for _, c := range w.chains {
		c.leaving = 0
	}
	w.fresh(NewCold(w.now))
	var open []Holder
	for _, c := range w.chains {
		if !c.closed {
			open = append(open, Holder{Name: c.holder, Chain: c.id})
		}
	}
	w.send("list of open scans", func(b *Book, _ time.Time) { b.Expect(open) })
	for _, h := range w.hubs {
		w.book.HubAsked(h.Name)
	}
	for _, c := range w.chains {
		if !c.closed {
			c.announce(w)
		}
	}
}

// kill ends a scan at any moment; its upload may go on for a while. No scan dies while a cold pool does not know it.
func (w *world) kill(chains []*chain) {
	if len(chains) == 0 || w.book.Cold != nil {
		return
	}
	c := chains[w.rand.IntN(len(chains))]
	if c.closed {
		return
	}
	w.note("%s is killed", c.id)
	c.closed = true
}

func (w *world) chain(id string) *chain {
	for _, c := range w.chains {
		if c.id == id {
			return c
		}
	}
	return nil
}

// findScan is what the hub says of a digest: of the newest scan it shows.
func (w *world) findScan(hub string, digest model.Digest) (model.HubScanState, time.Time) {
	state, started := model.HubScanAbsent, time.Time{}
	for _, each := range w.works {
		if each.hub != hub || each.digest != digest || each.refused || each.visible.After(w.now) {
			continue
		}
		state, started = model.HubScanInProgress, each.accepted
		if !each.done.After(w.now) {
			state = model.HubScanComplete
		}
	}
	return state, started
}
