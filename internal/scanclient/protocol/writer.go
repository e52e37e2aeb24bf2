package protocol

import (
	"encoding/json"
	"io"
	"sync"
	"time"
)

// progressEvery is the least time between two lines of progress in one phase, so that a client never floods its runner.
const progressEvery = 250 * time.Millisecond

// Writer is a client's side of the protocol. It is safe for use by several goroutines.
type Writer struct {
	mu      sync.Mutex
	out     io.Writer
	now     func() time.Time
	phase   Phase
	written time.Time
	ended   bool
}

// NewWriter writes lines to out. The clock now, time.Now outside tests, paces the progress.
func NewWriter(out io.Writer, now func() time.Time) *Writer { return &Writer{out: out, now: now} }

// Progress says how far the client is. The first line of a phase is always written, later ones at most four times a
// second. It returns the error of the write: a client whose runner no longer reads has no one to work for.
func (w *Writer) Progress(phase Phase, done, total int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	if w.ended || phase == w.phase && now.Sub(w.written) < progressEvery {
		return nil
	}
	w.phase, w.written = phase, now
	return w.line(wire{Phase: &phase, Done: &done, Total: &total})
}

// Result ends the protocol with what was achieved. Whatever is written later is dropped.
func (w *Writer) Result(r Result) error {
	if len(r.ScanID) > maxText || len(r.ScanURL) > maxText {
		// Half an address is worse than none: the scan is found by its name.
		r.ScanID, r.ScanURL = "", ""
	}
	return w.last(wire{Result: &r})
}

// Failure ends the protocol with a reason. Whatever is written later is dropped.
func (w *Writer) Failure(f Failure) error {
	f.Message = Clip(f.Message)
	f.RetryAfterSeconds = min(max(f.RetryAfterSeconds, 0), maxRetryAfterSeconds)
	return w.last(wire{Error: &f})
}

func (w *Writer) last(message wire) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return nil
	}
	w.ended = true
	return w.line(message)
}

func (w *Writer) line(message wire) error {
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	_, err = w.out.Write(append(text, '\n'))
	return err
}
