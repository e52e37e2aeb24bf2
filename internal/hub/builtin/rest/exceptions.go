package rest

import (
	"errors"
	"io"
	"net/http"
	"unicode/utf8"

	"github.com/perceptor/perceptor/internal/hub/builtin/store"
	"github.com/perceptor/perceptor/internal/hub/builtin/vex"
)

// exceptions answers /internal/exceptions: the documents in which people say which findings do not count.
type exceptions struct{ *Server }

// documentView is a document of exceptions as it was loaded.
type documentView struct {
	store.ExceptionDocument
	// Rejudging says that some versions are still shown as they were before the last change.
	Rejudging bool `json:"rejudging"`
}

func (s exceptions) list(*call) (reply, error) {
	all := []store.ExceptionDocument{}
	err := s.store.View(func(tx *store.Tx) error {
		found, err := tx.Exceptions().All()
		all = append(all, found...)
		return err
	})
	return reply{status: http.StatusOK, body: map[string]any{"documents": all, "rejudging": s.jobs.Judging.Stale()}}, err
}

func (s exceptions) get(c *call) (reply, error) {
	var view documentView
	err := s.store.View(func(tx *store.Tx) (err error) {
		view.ExceptionDocument, err = tx.Exceptions().Find(c.PathValue("name"))
		return err
	})
	view.Rejudging = s.jobs.Judging.Stale()
	return reply{status: http.StatusOK, body: view}, err
}

// put takes a document under the name in the path. Queries: author (where the document names none), until (a time), and
// repository (a pattern); see vex.Options.
func (s exceptions) put(c *call) (reply, error) {
	o := vex.Options{Origin: c.PathValue("name"), Author: c.URL.Query().Get("author"), Repository: c.URL.Query().Get("repository")}
	if text := c.URL.Query().Get("until"); text != "" {
		until, err := parseStamp(text)
		if err != nil {
			return reply{}, refuse(http.StatusBadRequest, "until", "until: %v", err)
		}
		o.Until = until
	}
	if !utf8.ValidString(o.Author) {
		return reply{}, refuse(http.StatusBadRequest, "author", "author is not UTF-8 text")
	}
	raw, err := io.ReadAll(http.MaxBytesReader(c.writer, c.Body, vex.MaxSize))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return reply{}, refuse(http.StatusRequestEntityTooLarge, "size", "the document is larger than the %d bytes this hub takes", vex.MaxSize)
	case err != nil:
		return reply{}, refuse(http.StatusBadRequest, "body", "the document broke off: %v", err)
	}
	document, err := vex.Parse(raw, o)
	if err != nil {
		return reply{}, refuse(http.StatusBadRequest, "exceptions", "%v; nothing was changed", err)
	}
	made, err := s.jobs.Exceptions.Load(o.Origin, document)
	return reply{status: http.StatusOK, body: documentView{ExceptionDocument: made, Rejudging: true}}, err
}

func (s exceptions) delete(c *call) (reply, error) {
	return reply{status: http.StatusNoContent}, s.jobs.Exceptions.Remove(c.PathValue("name"))
}
