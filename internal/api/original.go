package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/perceptor/perceptor/internal/api/access"
	"github.com/perceptor/perceptor/model"
)

// call is one request to an endpoint of the original.
type call struct {
	writer http.ResponseWriter
	*http.Request
	grant access.Grant
	// arrived orders this request after those that came before it: what a client knew when it began to send counts, not
	// when a long body has been read.
	arrived model.Version
	// problems has errors answered as problem+json; the original's were plain text.
	problems bool
}

// action is what an endpoint does for one method.
type action struct {
	scopes []access.Scope
	do     func(*call) error
	// batch is set for bodies with any number of items.
	batch bool
}

// addOriginal adds the endpoints of the original, by exact path. What it answered to a method it did not know was 404.
func (s *Server) addOriginal(mux *http.ServeMux) {
	perceiver, operator := []access.Scope{access.Perceiver}, []access.Scope{access.Operator}
	for path, methods := range map[string]map[string]action{
		"/pod": {
			http.MethodPost: {scopes: perceiver, do: s.putPod}, http.MethodPut: {scopes: perceiver, do: s.putPod},
			http.MethodDelete: {scopes: perceiver, do: s.deletePod},
		},
		"/pod/{namespace}/{name}": {http.MethodDelete: {scopes: perceiver, do: s.deleteNamedPod}},
		"/allpods": {
			http.MethodPut:  {scopes: perceiver, do: s.putAllPods, batch: true},
			http.MethodPost: {scopes: perceiver, do: s.putAllPods, batch: true},
		},
		"/image": {http.MethodPost: {scopes: perceiver, do: s.postImage}},
		"/allimages": {
			http.MethodPut:  {scopes: perceiver, do: s.putAllImages, batch: true},
			http.MethodPost: {scopes: perceiver, do: s.putAllImages, batch: true},
		},
		"/scanresults":         {http.MethodGet: {scopes: []access.Scope{access.Perceiver, access.Reader}, do: s.getScanResults, batch: true}},
		"/model":               {http.MethodGet: {scopes: []access.Scope{access.Reader}, do: s.getModel, batch: true}},
		"/command":             {http.MethodPost: {scopes: operator, do: s.postCommand}},
		"/concurrentscanlimit": {http.MethodPost: {scopes: operator, do: s.postConcurrentScanLimit}},
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			each, known := methods[r.Method]
			if !known {
				writePlain(w, refuse(http.StatusNotFound, "404 page not found: %s does not take %.20s", path, r.Method))
				return
			}
			s.answer(r.Context(), &call{writer: w, Request: r, arrived: s.clock.next()}, each)
		})
	}
}

// answer does what a request asks for. Success without anything to say is 200 with an empty body, as the original's was.
func (s *Server) answer(ctx context.Context, c *call, a action) {
	grant, refused := s.admit(c.Header.Get("Authorization"), a.scopes)
	if refused != nil {
		c.refuse(refused)
		return
	}
	c.grant = grant
	within := requestTime
	if a.batch {
		within = batchTime
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	c.Request = c.WithContext(ctx)
	if a.batch {
		if err := s.batches.enter(ctx); err != nil {
			c.refuse(refuse(http.StatusServiceUnavailable, "too many long requests at once; send it again"))
			return
		}
		defer s.batches.leave()
	}
	if err := a.do(c); err != nil {
		s.fail(c, err)
	}
}

// fail answers with what is wrong, and logs what the client does not get to read.
func (s *Server) fail(c *call, err error) {
	if refused := asRefusal(err); refused != nil {
		c.refuse(refused)
		return
	}
	status, text := answerTo(err)
	s.options.Log.Warn("request failed", "method", c.Method, "pattern", c.Pattern, "status", status, "error", err)
	c.refuse(refuse(status, "%s", text))
}

func (c *call) refuse(r *refusal) {
	if c.problems {
		writeProblem(c.writer, r)
		return
	}
	writePlain(c.writer, r)
}

// writeJSON answers as the generation did: the first releases compact and without naming a type, the last ones indented.
func (s *Server) writeJSON(c *call, status int, value any) error {
	contentType, text, err := "text/plain; charset=utf-8", []byte(nil), error(nil)
	if s.options.Old {
		text, err = json.Marshal(value)
	} else {
		contentType = "application/json"
		text, err = json.MarshalIndent(value, "", "  ")
	}
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	c.writer.Header().Set("Content-Type", contentType)
	c.writer.WriteHeader(status)
	_, _ = c.writer.Write(text) // a client that has gone has nobody to be told
	return nil
}

// names joins what a reason lists, a few of them.
func names(all []string) string {
	const shown = 5
	slices.Sort(all)
	if len(all) > shown {
		return strings.Join(all[:shown], ", ") + " and others"
	}
	return strings.Join(all, ", ")
}
