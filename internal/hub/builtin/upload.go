package builtin

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"github.com/perceptor/perceptor/model"
)

// AttemptHeader carries the attempt id of an upload, "<millis>-<counter>": an addition of this hub. The attempts of one scan
// name are ordered by it: a repeated one is answered as before and starts nothing, one older than the newest seen is refused.
const AttemptHeader = "X-Perceptor-Attempt"

// attemptRecord is the newest attempt seen of a scan name, and its scan once it was accepted.
type attemptRecord struct {
	Attempt model.AttemptID `json:"attempt"`
	Scan    string          `json:"scan,omitempty"`
}

func scanLocation(id string) string { return "/api/scans/" + id }

// postScan takes a document. It becomes a scan in one transaction, after the whole of it was read and understood and
// AcceptDelay has passed, and only if the caller is still there: an upload that died is not a scan.
func (h *Hub) postScan(c *call) (reply, error) {
	if err := h.db.Update(func(tx *bbolt.Tx) error { return count(tx, uploadsStarted, 1) }); err != nil {
		return reply{}, err
	}
	scanID, err := h.receive(c)
	if err != nil {
		return reply{}, errors.Join(err, h.countRefused(err))
	}
	if _, hit := h.faults.hit(FaultDrop, classUpload); hit {
		cutOff()
	}
	return reply{status: http.StatusCreated, location: scanLocation(scanID)}, nil
}

func (h *Hub) receive(c *call) (scanID string, err error) {
	form, err := h.readForm(c)
	if err != nil {
		return "", err
	}
	if form.repeated != "" {
		return form.repeated, nil
	}
	contents, err := parseDocument(form.document)
	if err != nil {
		return "", refuse(http.StatusBadRequest, "document", "the document cannot be scanned: %v", err)
	}
	size := int64(len(form.document))
	form.document = nil // the wait below may be long
	if !form.named {    // else it was announced when the field came
		form.scanName = contents.scanName(form.project, form.version)
		if form.repeated, err = h.announce(form.scanName, form.attempt); err != nil || form.repeated != "" {
			return form.repeated, err
		}
	}
	if h.options.AcceptDelay > 0 {
		select {
		case <-h.options.Clock.After(h.options.AcceptDelay):
		case <-c.Context().Done():
		case <-h.context.Done():
		}
	}
	s, err := h.accept(c, form, contents.components, size)
	if err == nil && s.State == scanStarted {
		h.start(s)
	}
	return s.ID, err
}

// announce records the newest attempt seen of a scan name. It refuses an older one, and answers the scan of a repeated one.
func (h *Hub) announce(scanName string, attempt model.AttemptID) (repeated string, err error) {
	if attempt.IsZero() {
		return "", nil
	}
	err = h.db.Update(func(tx *bbolt.Tx) error {
		repeated, err = checkAttempt(tx, scanName, attempt)
		if err != nil || repeated != "" {
			return err
		}
		return write(tx, attemptBucket, strings.ToLower(scanName), attemptRecord{Attempt: attempt})
	})
	return repeated, err
}

func checkAttempt(tx *bbolt.Tx, scanName string, attempt model.AttemptID) (repeated string, err error) {
	newest, _, err := read[attemptRecord](tx, attemptBucket, strings.ToLower(scanName))
	if err != nil {
		return "", err
	}
	if attempt.Less(newest.Attempt) {
		return "", refuse(http.StatusConflict, "attempt", "attempt %s of scan %.80q is older than %s, which was seen already: it is not scanned", attempt, scanName, newest.Attempt)
	}
	if attempt != newest.Attempt || newest.Scan == "" {
		return "", nil
	}
	if _, ok, err := read[scan](tx, scanBucket, newest.Scan); err != nil || ok {
		return newest.Scan, err
	}
	return "", refuse(http.StatusConflict, "attempt", "attempt %s of scan %.80q was scanned and deleted: upload with a new attempt", attempt, scanName)
}

// accept makes the scan, with project, version and code location as needed. When another request of the same attempt
// made it meanwhile, only its id comes back: it is being worked on already.
func (h *Hub) accept(c *call, form *uploadForm, contents []component, size int64) (scan, error) {
	var s scan
	err := h.db.Update(func(tx *bbolt.Tx) error {
		if h.context.Err() != nil {
			return &restError{status: http.StatusServiceUnavailable, code: "stopping", retryAfter: "1", message: "the hub is stopping: upload again when it is back"}
		}
		if err := c.Context().Err(); err != nil {
			return fmt.Errorf("upload of scan %.80q: %w: %w", form.scanName, errGone, err)
		}
		if !form.attempt.IsZero() {
			repeated, err := checkAttempt(tx, form.scanName, form.attempt)
			if err != nil || repeated != "" {
				s = scan{ID: repeated}
				return err
			}
		}
		err := h.checkCapacity(tx)
		if err == nil {
			s, err = h.newScan(tx, form, contents, size)
		}
		return err
	})
	return s, err
}

func (h *Hub) newScan(tx *bbolt.Tx, form *uploadForm, contents []component, size int64) (scan, error) {
	l, left, err := h.placeScan(tx, form)
	if err != nil {
		return scan{}, err
	}
	seq, err := tx.Bucket([]byte(scanBucket)).NextSequence()
	if err != nil {
		return scan{}, fmt.Errorf("number the scan: %w", err)
	}
	now := h.now()
	s := scan{
		ID: uuid.NewString(), Seq: seq, Name: l.Name, CodeLocation: l.ID, Version: l.Version, Attempt: form.attempt, State: scanStarted,
		AcceptedAt: now, UpdatedAt: now, Size: size, Components: len(contents), Left: left,
	}
	h.decide(&s)
	if err := write(tx, scanBucket, s.ID, s); err != nil {
		return s, err
	}
	if err := write(tx, scanContentsBucket, s.ID, contents); err != nil {
		return s, err
	}
	if err := writeRaw(tx, scanIndexBucket, joinKey(l.ID, sequenceKey(seq)), []byte(s.ID)); err != nil {
		return s, err
	}
	if err := writeRaw(tx, activeBucket, s.ID, nil); err != nil {
		return s, err
	}
	if !form.attempt.IsZero() {
		if err := write(tx, attemptBucket, strings.ToLower(form.scanName), attemptRecord{Attempt: form.attempt, Scan: s.ID}); err != nil {
			return s, err
		}
	}
	return s, countAccepted(tx, s.Name)
}

func countAccepted(tx *bbolt.Tx, scanName string) error {
	if err := scanBegan(tx); err != nil {
		return err
	}
	if err := countName(tx, uploadsByNameBucket, scanName); err != nil {
		return err
	}
	return count(tx, uploadsAccepted, 1)
}

// placeScan finds or makes project, version and code location, and maps the last to the version. A caller that named the
// code location moves it by that; without a name, one that is mapped elsewhere is refused, as the real hub does.
func (h *Hub) placeScan(tx *bbolt.Tx, form *uploadForm) (l codeLocation, left string, err error) {
	p, _, err := h.ensureProject(tx, form.project)
	if err != nil {
		return l, "", err
	}
	v, err := h.ensureVersion(tx, p, form.version)
	if err != nil {
		return l, "", err
	}
	if l, err = h.ensureLocation(tx, form.scanName); err != nil {
		return l, "", err
	}
	if l.Version == v.ID {
		return l, "", nil
	}
	if left = l.Version; left != "" && !form.named {
		return l, "", refuse(http.StatusConflict, "mapped", "code location %.80q is mapped to another project version: unmap it first", l.Name)
	}
	return l, left, h.setMapping(tx, &l, v.ID)
}
