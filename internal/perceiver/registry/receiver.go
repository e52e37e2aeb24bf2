package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/perceptor/perceptor/model"
)

const (
	// bodyBytes is the largest body. The largest message of a product, a push of 1,000 tags, has about 150 KiB.
	bodyBytes = 1 << 20
	// requestsInProgress is how many requests with events are read at a time. More are asked to come again.
	requestsInProgress = 32
	// patience is how long a sender waits for the report. Then it is asked to come again, and the work goes on.
	patience = 10 * time.Second
	// workTime bounds what one message has the perceiver do.
	workTime = time.Minute
	// comeAgain is after how many seconds a sender may try again.
	comeAgain = "5"
	// stopTime is how long requests in progress may take at a stop.
	stopTime = 15 * time.Second
)

// outcome is how a request ended: its word in the metrics, its status, and what the answer says.
type outcome struct {
	word   string
	status int
	text   string
}

// The outcomes. One with a status of 2xx ends the sender's tries. With 202 nothing was reported yet: the next walk reads it.
var (
	accepted     = outcome{"accepted", http.StatusOK, "accepted"}
	repeated     = outcome{"repeated", http.StatusOK, "accepted before"}
	ignored      = outcome{"ignored", http.StatusOK, "nothing to report: no tag that is watched has changed"}
	unknown      = outcome{"unknown", http.StatusAccepted, "not understood: the registry is read instead"}
	unreadable   = outcome{"unreadable", http.StatusAccepted, "the registry refuses to let this perceiver read the repository: it is tried again with the next walk"}
	invalid      = outcome{"invalid", http.StatusBadRequest, "not a message of the configured kind"}
	tooLarge     = outcome{"too_large", http.StatusRequestEntityTooLarge, fmt.Sprintf("more than %d bytes, or more than %d changes", bodyBytes, placesAtMost)}
	unauthorized = outcome{"unauthorized", http.StatusUnauthorized, "the secret is missing or wrong"}
	unavailable  = outcome{"unavailable", http.StatusServiceUnavailable, "cannot be accepted at the moment: send it again"}
)

// receive takes events until ctx ends.
func (p *Perceiver) receive(ctx context.Context) error {
	o := p.options
	server := &http.Server{
		Handler: p.handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 90 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, TLSConfig: o.TLS, ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	o.Logger.Info("events are taken", "address", o.Listener.Addr().String(), "kind", string(o.Kind), "tls", o.TLS != nil)
	ended := make(chan error, 1)
	go func() {
		if o.TLS != nil {
			ended <- server.ServeTLS(o.Listener, "", "")
			return
		}
		ended <- server.Serve(o.Listener)
	}()
	select {
	case err := <-ended:
		return fmt.Errorf("take events: %w", err)
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	if err := server.Shutdown(stopping); err != nil {
		_ = server.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("take events: %w", err)
	}
	return nil
}

// handler has the path of events, and what monitoring asks for.
func (p *Perceiver) handler() http.Handler {
	mux := http.NewServeMux()
	places := make(chan struct{}, requestsInProgress)
	mux.HandleFunc("POST /webhook", func(w http.ResponseWriter, r *http.Request) {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
			p.answer(w, r, p.take(w, r))
		default:
			p.answer(w, r, unavailable)
		}
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.metrics.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 8}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !p.ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	return mux
}

// answer counts and answers a request.
func (p *Perceiver) answer(w http.ResponseWriter, r *http.Request, o outcome) {
	p.metrics.events.WithLabelValues(o.word).Inc()
	if o.status >= http.StatusBadRequest {
		p.options.Logger.Warn("a message was not accepted", "reason", o.word, "status", o.status, "from", r.RemoteAddr)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	switch o.status {
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", comeAgain)
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="perceptor"`)
	}
	w.WriteHeader(o.status)
	_ = json.NewEncoder(w).Encode(map[string]string{"result": o.word, "message": o.text})
}

// take takes a message.
func (p *Perceiver) take(w http.ResponseWriter, r *http.Request) outcome {
	secrets := p.options.Secrets()
	signature := ""
	if p.options.Kind == Artifactory {
		signature = r.Header.Get(signatureHeader)
	}
	proven := proves(secretOf(r), secrets) || proves(signature, secrets)
	if !proven && signature == "" {
		return unauthorized // before the body is read
	}
	if r.ContentLength > bodyBytes {
		return tooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyBytes))
	if over := (*http.MaxBytesError)(nil); errors.As(err, &over) {
		return tooLarge
	}
	if err != nil {
		return invalid
	}
	if !proven && !signs(signature, body, secrets) {
		return unauthorized
	}
	return p.understand(r.Context(), body)
}

// understand reads a message and has its changes reported.
func (p *Perceiver) understand(ctx context.Context, body []byte) outcome {
	product := products[p.options.Kind]
	m, err := product.read(body)
	if err != nil {
		p.options.Logger.Warn("a message could not be read; the registry is walked instead", "kind", string(p.options.Kind), "error", err)
		p.walkSoon()
		if product.insists {
			return unknown // it would send this for ever, and nothing else
		}
		return invalid
	}
	if len(m.places) > placesAtMost {
		p.walkSoon()
		return tooLarge
	}
	if len(m.unknown) > 0 || m.walk {
		p.walkSoon()
	}
	for _, each := range m.unknown[:min(len(m.unknown), 5)] {
		p.options.Logger.Warn("an event is not known; the registry is walked instead", "kind", string(p.options.Kind), "event", each)
	}
	tags := p.group(m)
	switch {
	case len(tags) > 0:
		return p.process(ctx, m, tags)
	case len(m.unknown) > 0 || m.walk:
		return unknown
	default:
		return ignored
	}
}

// group has the tags of each repository of interest; none where all of it is to be read. Events that were accepted before have none.
func (p *Perceiver) group(m message) map[string][]string {
	tags, whole := map[string][]string{}, map[string]bool{}
	for _, each := range m.places {
		if !p.wanted(each.repository) {
			continue
		}
		if each.tag == "" {
			whole[each.repository] = true
		} else if p.filter.Ignores(p.options.Host + "/" + each.repository + ":" + each.tag) {
			continue
		}
		tags[each.repository] = append(tags[each.repository], each.tag)
	}
	for repository := range tags {
		if whole[repository] {
			tags[repository] = nil
		}
	}
	return tags
}

// process reads what a message points at and has it reported. The work goes on when the sender hangs up: it sends the message again.
func (p *Perceiver) process(ctx context.Context, m message, tags map[string][]string) outcome {
	if p.sentBefore(m) {
		return repeated
	}
	done := make(chan outcome, 1)
	go func() {
		working, cancel := context.WithTimeout(context.WithoutCancel(ctx), workTime)
		defer cancel()
		done <- p.work(working, m, tags)
	}()
	select {
	case o := <-done:
		return o
	case <-time.After(patience):
		return unavailable
	}
}

// sentBefore reports whether every event of a message was accepted before.
func (p *Perceiver) sentBefore(m message) bool {
	for _, id := range m.ids {
		if !p.replays.has(id) {
			return false
		}
	}
	return len(m.ids) > 0
}

func (p *Perceiver) work(ctx context.Context, m message, tags map[string][]string) outcome {
	var u update
	refused := false
	for repository, some := range tags {
		p.noticed.add(repository)
		read, err := p.readSettled(ctx, repository, some, m.places)
		if err == nil {
			u.readings = append(u.readings, read)
			continue
		}
		p.options.Logger.Warn("the place of an event could not be read", "repository", repository, "error", err)
		if classOf(err).Temporary() {
			return unavailable
		}
		refused = true
		p.walkSoon()
	}
	if len(u.readings) > 0 {
		reported := make(chan error, 1)
		u.done = reported
		p.submit(ctx, u)
		select {
		case err := <-reported:
			if err != nil {
				return unavailable
			}
		case <-ctx.Done():
			return unavailable
		}
	}
	if refused {
		return unreadable
	}
	p.replays.add(m.ids...)
	return accepted
}

// readPlace reads some tags of a repository, or all of them.
func (p *Perceiver) readPlace(ctx context.Context, repository string, tags []string) (reading, error) {
	if len(tags) == 0 {
		return p.readAll(ctx, repository)
	}
	return p.readSome(ctx, repository, tags)
}

// A registry may send an event before the tag leads to the new manifest. Then the tag is read again while the sender waits, and later.
var (
	settleSoon  = []time.Duration{100 * time.Millisecond, 300 * time.Millisecond, 600 * time.Millisecond}
	settleLater = []time.Duration{3 * time.Second, 15 * time.Second, time.Minute}
)

// readSettled reads what an event points at, until it leads where the event says. A tag that has moved since then never will, so this
// ends soon, and the tag is read again later.
func (p *Perceiver) readSettled(ctx context.Context, repository string, tags []string, places []place) (reading, error) {
	read, err := p.readPlace(ctx, repository, tags)
	for _, pause := range settleSoon {
		if err != nil || read.agrees(places) {
			return read, err
		}
		sleep(ctx, pause)
		read, err = p.readPlace(ctx, repository, tags)
	}
	if err == nil && !read.agrees(places) {
		p.lookLater(repository, tags, places) //nolint:contextcheck // it goes on after the request
	}
	return read, err
}

// agrees reports whether the tags lead where a message says.
func (r reading) agrees(places []place) bool {
	said := map[string]model.Digest{} // the last word counts
	for _, each := range places {
		if each.repository == r.repository && each.tag != "" {
			said[each.tag] = each.digest
		}
	}
	for tag, digest := range said {
		if read, is := r.tags[tag]; is && digest != "" && read != digest {
			return false
		}
	}
	return true
}

// lookLater reads tags again some times. What is not read before the perceiver ends is read by the walk at its start.
func (p *Perceiver) lookLater(repository string, tags []string, places []place) {
	select {
	case p.later <- struct{}{}:
	default:
		p.walkSoon() // so many wait that a walk is cheaper
		return
	}
	ctx := p.running
	go func() {
		defer func() { <-p.later }()
		for _, pause := range settleLater {
			sleep(ctx, pause)
			read, err := p.readPlace(ctx, repository, tags)
			if ctx.Err() != nil {
				return
			}
			if err == nil {
				p.submit(ctx, update{readings: []reading{read}})
				if read.agrees(places) {
					return
				}
			}
		}
	}()
}
