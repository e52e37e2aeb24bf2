package fault

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/perceptor/perceptor/internal/hub/builtin/rest"
)

// htmlPage is what the switch "html" answers.
const htmlPage = "<!DOCTYPE html><html><head><title>Please wait</title></head><body><h1>The service is starting</h1></body></html>\n"

// around is the handler around the hub.
func (h *Hub) around(inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		class := rest.ClassOf(r)
		if class == rest.ClassInternal {
			if !h.control(w, r) {
				inner.ServeHTTP(w, r)
			}
			return
		}
		if h.disturb(w, r, class) {
			return
		}
		serve := inner
		if f, on := h.switches.look(Generation); on && f.Is == generationOld {
			serve = h.old(inner)
		}
		if class == rest.ClassUpload {
			serve = h.dropping(serve)
		}
		serve.ServeHTTP(w, r)
	})
}

// disturb lets the switches on requests act, and reports whether the request has its answer.
func (h *Hub) disturb(w http.ResponseWriter, r *http.Request, class rest.PathClass) bool {
	if _, hit := h.switches.hit(Dead, class); hit {
		cutOff()
	}
	if f, hit := h.switches.hit(Latency, class); hit {
		h.holdUp(r, h.switches.draw(f))
	}
	if f, hit := h.switches.hit(Throttle, class); hit {
		h.Refuse(w, r, h.refusal(Throttle, f, http.StatusTooManyRequests))
		return true
	}
	if f, hit := h.switches.hit(Fail, class); hit {
		h.Refuse(w, r, h.refusal(Fail, f, orDefault(f.Status, http.StatusServiceUnavailable)))
		return true
	}
	if _, hit := h.switches.hit(HTML, class); hit {
		answer(w, "text/html;charset=UTF-8", htmlPage)
		return true
	}
	if _, hit := h.switches.hit(Empty, class); hit {
		answer(w, "application/json;charset=UTF-8", "")
		return true
	}
	return false
}

// cutOff ends the request without an answer: an HTTP/1 connection is closed, an HTTP/2 stream reset.
func cutOff() { panic(http.ErrAbortHandler) }

func orDefault(status, otherwise int) int {
	if status == 0 {
		return otherwise
	}
	return status
}

// holdUp waits, but not for a caller who has gone or a hub that stops.
func (h *Hub) holdUp(r *http.Request, d time.Duration) {
	select {
	case <-h.clock.After(d):
	case <-r.Context().Done():
	case <-h.Stopping():
	}
}

// answer sends 200 with a body that is not what was asked for.
func answer(w http.ResponseWriter, mediaType, body string) {
	w.Header().Set("Content-Type", mediaType)
	_, _ = io.WriteString(w, body) // a caller who has gone misses nothing
}

// recorded is an answer that is held back.
type recorded struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorded) Header() http.Header { return r.header }

func (r *recorded) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *recorded) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(p)
}

// record lets a handler answer and keeps the answer back.
func record(inner http.Handler, r *http.Request) *recorded {
	held := &recorded{header: http.Header{}}
	inner.ServeHTTP(held, r)
	held.WriteHeader(http.StatusOK)
	return held
}

// send passes the answer on.
func (r *recorded) send(w http.ResponseWriter) {
	maps.Copy(w.Header(), r.header)
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body.Bytes()) // a caller who has gone misses nothing
}

// dropping accepts uploads and, where the switch "drop" hits, cuts the connection instead of answering.
func (h *Hub) dropping(inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, on := h.switches.look(Drop); !on {
			inner.ServeHTTP(w, r)
			return
		}
		held := record(inner, r)
		if held.status == http.StatusCreated {
			if _, hit := h.switches.hit(Drop, rest.ClassUpload); hit {
				cutOff()
			}
		}
		held.send(w)
	})
}

// newer are the parts of paths that the API has only since its current generation.
var newer = []string{"/api/tokens/authenticate", "/latest-scan-summary", "/bom-status", "/api/scan-readiness"}

// newerLinks are the links to them.
var newerLinks = regexp.MustCompile(`,\{"rel":"(latest-scan|bom-status)","href":"[^"]*"\}|\{"rel":"(latest-scan|bom-status)","href":"[^"]*"\},?`)

// old speaks the old generation of the API: without what came later, and in plain JSON.
func (h *Hub) old(inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, part := range newer {
			if strings.Contains(r.URL.Path, part) {
				h.Refuse(w, r, &rest.Error{Status: http.StatusNotFound, Code: "not_found", Message: "there is nothing at this path"})
				return
			}
		}
		asked := r.Clone(r.Context())
		asked.Header.Del("Accept") // this generation has no types of its own to choose from
		held := record(inner, asked)
		if held.body.Len() > 0 {
			held.header.Set("Content-Type", "application/json;charset=UTF-8")
		}
		body := newerLinks.ReplaceAll(held.body.Bytes(), nil)
		if r.URL.Path == "/api/current-version" {
			body = regexp.MustCompile(`"version":"[^"]*"`).ReplaceAll(body, []byte(`"version":"`+oldVersion+`"`))
		}
		held.body = *bytes.NewBuffer(body)
		held.send(w)
	})
}
