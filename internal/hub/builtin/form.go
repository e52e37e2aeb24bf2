package builtin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"

	"github.com/perceptor/perceptor/model"
)

// uploadForm is what an upload says of itself.
type uploadForm struct {
	project, version string
	// scanName is the field codeLocationName, an addition of this hub. Sent before the file, it lets the hub refuse an old
	// attempt without reading the file.
	scanName string
	// named tells that the caller gave scanName.
	named    bool
	attempt  model.AttemptID
	document []byte
	// repeated is the scan that this attempt already made.
	repeated string
}

// formOverhead is what fields and boundaries of a form may add to the document, in bytes.
const formOverhead = 64 << 10

// errGone tells that the sender of an upload went away before it was complete.
var errGone = errors.New("the sender went away")

// watchedBody remembers whether the connection failed, which a form reader's own errors do not tell.
type watchedBody struct {
	io.ReadCloser
	failure error
}

func (b *watchedBody) Read(into []byte) (int, error) {
	n, err := b.ReadCloser.Read(into)
	if err != nil && !errors.Is(err, io.EOF) {
		b.failure = err
	}
	return n, err // readers compare with io.EOF
}

// readForm reads the whole request, whatever is wrong with it: a sender cut off while it sends would not read the
// answer, and only a body read to its end lets the server notice later that the sender went away.
func (h *Hub) readForm(c *call) (*uploadForm, error) {
	body := &watchedBody{ReadCloser: http.MaxBytesReader(c.writer, c.Body, h.options.MaxDocument+formOverhead)}
	c.Body = body
	form, err := h.readParts(c)
	if body.failure == nil {
		_, _ = io.Copy(io.Discard, body) // its failure is remembered
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(body.failure, &tooLarge) || errors.As(err, &tooLarge):
		return nil, refuse(http.StatusRequestEntityTooLarge, "size", "the document is larger than the %d bytes this hub takes", h.options.MaxDocument)
	case body.failure != nil:
		return nil, fmt.Errorf("read upload: %w: %w", errGone, body.failure)
	case err != nil:
		return nil, err
	}
	return form, form.check()
}

func (h *Hub) readParts(c *call) (*uploadForm, error) {
	form := &uploadForm{}
	var err error
	if text := c.Header.Get(AttemptHeader); text != "" {
		if form.attempt, err = model.ParseAttemptID(text); err != nil {
			return nil, refuse(http.StatusBadRequest, "attempt", "header %s: %v", AttemptHeader, err)
		}
	}
	parts, err := c.MultipartReader()
	if err != nil {
		return nil, refuse(http.StatusUnsupportedMediaType, "media_type",
			"send the document as multipart/form-data with the part 'file' and the fields projectName and versionName")
	}
	for {
		part, err := parts.NextPart()
		if err == io.EOF { // the bare value means a proper end; a wrapped one, that the last boundary is missing
			return form, nil
		}
		if err != nil {
			return nil, badForm(err)
		}
		if err := h.readPart(form, part); err != nil {
			return nil, err
		}
	}
}

func badForm(err error) error {
	return refuse(http.StatusBadRequest, "form", "the multipart form cannot be read: %v", err)
}

func (h *Hub) readPart(form *uploadForm, part *multipart.Part) error {
	if part.FormName() == "file" {
		return h.readDocument(form, part)
	}
	field := map[string]*string{"projectName": &form.project, "versionName": &form.version, "codeLocationName": &form.scanName}[part.FormName()]
	if field == nil {
		return nil // what this hub does not know may be meant for another
	}
	raw, err := io.ReadAll(io.LimitReader(part, maxName+1))
	if err != nil {
		return badForm(err)
	}
	if *field = string(raw); field != &form.scanName {
		return nil
	}
	if err := checkName("codeLocationName", form.scanName); err != nil {
		return err
	}
	form.named = true
	form.repeated, err = h.announce(form.scanName, form.attempt)
	return err
}

const cycloneDX = "application/vnd.cyclonedx"

func (h *Hub) readDocument(form *uploadForm, part *multipart.Part) error {
	mediaType, _, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
	if err != nil || mediaType != cycloneDX && mediaType != cycloneDX+"+json" {
		return refuse(http.StatusUnsupportedMediaType, "media_type", "part 'file' has the type %.80q: this hub takes CycloneDX as JSON, type %s", mediaType, cycloneDX)
	}
	var document bytes.Buffer
	if _, err := io.Copy(&document, io.LimitReader(part, h.options.MaxDocument+1)); err != nil {
		return badForm(err)
	}
	if int64(document.Len()) > h.options.MaxDocument {
		return fmt.Errorf("read document: %w", &http.MaxBytesError{Limit: h.options.MaxDocument})
	}
	form.document = document.Bytes()
	return nil
}

func (f *uploadForm) check() error {
	if f.document == nil {
		return refuse(http.StatusBadRequest, "form", "the form has no part 'file'")
	}
	if err := checkName("projectName", f.project); err != nil {
		return err
	}
	return checkName("versionName", f.version)
}
