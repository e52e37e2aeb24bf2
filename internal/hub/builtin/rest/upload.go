package rest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"

	"github.com/perceptor/perceptor/internal/hub/builtin/jobs"
	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
	"github.com/perceptor/perceptor/internal/hub/builtin/store"
	"github.com/perceptor/perceptor/model"
)

// AttemptHeader carries the attempt id of an upload, "<millis>-<counter>": an addition of this hub. The attempts of one scan
// name are ordered by it: a repeated one is answered as before and starts nothing, one older than the newest seen is refused.
const AttemptHeader = "X-Perceptor-Attempt"

// uploads answers /api/scan/data.
type uploads struct{ *Server }

func scanLocation(id string) string { return "/api/scans/" + id }

// post takes a document. It becomes a scan in one transaction, after the whole of it was read and understood and
// AcceptDelay has passed, and only if the caller is still there: an upload that died is not a scan.
func (s uploads) post(c *call) (reply, error) {
	if err := s.store.Update(func(tx *store.Tx) error { return tx.Counters().Add(store.UploadsStarted, 1) }); err != nil {
		return reply{}, err
	}
	scanID, err := s.receive(c)
	if err != nil {
		return reply{}, errors.Join(err, s.countRefused(err))
	}
	return reply{status: http.StatusCreated, location: scanLocation(scanID)}, nil
}

func (s uploads) receive(c *call) (scanID string, err error) {
	form, err := s.readForm(c)
	if err != nil {
		return "", err
	}
	if form.repeated != "" {
		return form.repeated, nil
	}
	if err := s.documents.enter(c.Context()); err != nil {
		return "", fmt.Errorf("wait to read the document: %w: %w", jobs.ErrGone, err)
	}
	contents, err := judge.Parse(form.document)
	s.documents.leave()
	if err != nil {
		return "", refuse(http.StatusBadRequest, "document", "the document cannot be scanned: %v", err)
	}
	size := int64(len(form.document))
	form.document = nil // the wait below may be long
	if !form.named {    // else it was announced when the field came
		form.scanName = scanNameOf(contents, form.project, form.version)
		if form.repeated, err = s.jobs.Scans.Announce(form.scanName, form.attempt); err != nil || form.repeated != "" {
			return form.repeated, err
		}
	}
	if s.acceptDelay > 0 {
		select {
		case <-s.clock.After(s.acceptDelay):
		case <-c.Context().Done():
		case <-s.jobs.Stopping():
		}
	}
	return s.jobs.Scans.Accept(c.Context(), jobs.Upload{
		Project: form.project, Version: form.version, ScanName: form.scanName, Named: form.named, Attempt: form.attempt,
		Contents: contents, Size: size,
	})
}

// uploadForm is what an upload says of itself.
type uploadForm struct {
	project, version string
	// scanName is the field codeLocationName, an addition of this hub. Sent before the file, it lets the hub refuse an old
	// attempt without reading the file.
	scanName string
	// named says that the caller gave scanName.
	named    bool
	attempt  model.AttemptID
	document []byte
	// repeated is the scan that this attempt already made.
	repeated string
}

// formOverhead is what fields and boundaries of a form may add to the document, in bytes.
const formOverhead = 64 << 10

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
func (s uploads) readForm(c *call) (*uploadForm, error) {
	body := &watchedBody{ReadCloser: http.MaxBytesReader(c.writer, c.Body, s.maxDocument+formOverhead)}
	c.Body = body
	form, err := s.readParts(c)
	if body.failure == nil {
		_, _ = io.Copy(io.Discard, body) // its failure is remembered
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(body.failure, &tooLarge) || errors.As(err, &tooLarge):
		return nil, refuse(http.StatusRequestEntityTooLarge, "size", "the document is larger than the %d bytes this hub takes", s.maxDocument)
	case body.failure != nil:
		return nil, fmt.Errorf("read upload: %w: %w", jobs.ErrGone, body.failure)
	case err != nil:
		return nil, err
	}
	return form, form.check()
}

func (s uploads) readParts(c *call) (*uploadForm, error) {
	form := &uploadForm{}
	var err error
	if text := c.Header.Get(AttemptHeader); text != "" {
		if form.attempt, err = model.ParseAttemptID(text); err != nil {
			return nil, refuse(http.StatusBadRequest, "attempt", "header %s: %v", AttemptHeader, err)
		}
		if latest := s.clock.Now().Add(attemptAhead).UnixMilli(); form.attempt.Millis > latest {
			return nil, refuse(http.StatusBadRequest, "attempt", "header %s: its time is more than %s ahead of this hub's clock", AttemptHeader, attemptAhead)
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
		if err := s.readPart(form, part); err != nil {
			return nil, err
		}
	}
}

func badForm(err error) error {
	return refuse(http.StatusBadRequest, "form", "the multipart form cannot be read: %v", err)
}

func (s uploads) readPart(form *uploadForm, part *multipart.Part) error {
	if part.FormName() == "file" {
		return s.readDocument(form, part)
	}
	field := map[string]*string{"projectName": &form.project, "versionName": &form.version, "codeLocationName": &form.scanName}[part.FormName()]
	if field == nil {
		return nil // what this hub does not know may be meant for another
	}
	raw, err := io.ReadAll(io.LimitReader(part, jobs.MaxName+1))
	if err != nil {
		return badForm(err)
	}
	if *field = string(raw); field != &form.scanName {
		return nil
	}
	if err := jobs.CheckName("codeLocationName", form.scanName); err != nil {
		return err
	}
	form.named = true
	form.repeated, err = s.jobs.Scans.Announce(form.scanName, form.attempt)
	return err
}

const cycloneDX = "application/vnd.cyclonedx"

func (s uploads) readDocument(form *uploadForm, part *multipart.Part) error {
	mediaType, _, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
	if err != nil || mediaType != cycloneDX && mediaType != cycloneDX+"+json" {
		return refuse(http.StatusUnsupportedMediaType, "media_type", "part 'file' has the type %.80q: this hub takes CycloneDX as JSON, type %s", mediaType, cycloneDX)
	}
	var document bytes.Buffer
	if _, err := io.Copy(&document, io.LimitReader(part, s.maxDocument+1)); err != nil {
		return badForm(err)
	}
	if int64(document.Len()) > s.maxDocument {
		return fmt.Errorf("read document: %w", &http.MaxBytesError{Limit: s.maxDocument})
	}
	form.document = document.Bytes()
	return nil
}

func (f *uploadForm) check() error {
	if f.document == nil {
		return refuse(http.StatusBadRequest, "form", "the form has no part 'file'")
	}
	if err := jobs.CheckName("projectName", f.project); err != nil {
		return err
	}
	return jobs.CheckName("versionName", f.version)
}

// scanNameOf is the code location of a document whose sender gave none.
func scanNameOf(c judge.Contents, project, version string) string {
	name := c.Subject
	if name == "" {
		name = project + "/" + version
	}
	const kind = " cyclonedx/sbom"
	name = strings.NewReplacer(" ", "-", "\x00", "").Replace(name)
	return strings.ToValidUTF8(name[:min(len(name), jobs.MaxName-len(kind))], "") + kind
}
