package rest

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// Bounds of what callers may cost. The times are for the whole of a body: half a MiB per second is enough for the largest document
// within uploadTime.
const (
	bodyTime   = 30 * time.Second
	uploadTime = 15 * time.Minute
	// documentsAtOnce bounds the memory of documents that are read into components.
	documentsAtOnce = 2
	// attemptAhead is how far an attempt's time may be ahead of this hub's clock. An attempt of the far future would make every later
	// upload of that image an old one.
	attemptAhead = time.Hour
)

// limitBody bounds how long the body of a request may take.
func limitBody(w http.ResponseWriter, r *http.Request) {
	within := bodyTime
	if ClassOf(r) == ClassUpload {
		within = uploadTime
	}
	// A writer without deadlines is that of a test.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(within))
}

// documents are the places for reading documents.
type documents chan struct{}

// enter waits for a place. The body is read by then, so a slow sender holds none.
func (d documents) enter(ctx context.Context) error {
	select {
	case d <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d documents) leave() { <-d }

// Wrong logins of one address: after wrongLogins of them, its password logins are refused unread until wrongLoginsTime has passed.
// A token login is always read: the hub makes the token, so it cannot be guessed, and workers share addresses.
const (
	wrongLogins     = 10
	wrongLoginsTime = time.Minute
	// wrongAddresses bounds the memory for addresses.
	wrongAddresses = 10_000
)

// wrong counts the wrong password logins of the present minute by address.
type wrong struct {
	lock  sync.Mutex
	since time.Time
	count map[string]int
}

// tooMany reports whether an address had too many wrong logins.
func (w *wrong) tooMany(r *http.Request, now time.Time) bool {
	w.lock.Lock()
	defer w.lock.Unlock()
	if w.count == nil || now.Sub(w.since) > wrongLoginsTime || now.Before(w.since) || len(w.count) >= wrongAddresses {
		w.since, w.count = now, map[string]int{}
	}
	return w.count[addressOf(r)] >= wrongLogins
}

// note counts a wrong login.
func (w *wrong) note(r *http.Request) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.count[addressOf(r)]++
}

// addressOf is where a request comes from, without the port.
func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
