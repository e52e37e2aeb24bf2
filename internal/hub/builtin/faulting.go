package builtin

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"go.etcd.io/bbolt"
)

// htmlPage is what FaultHTML answers.
const htmlPage = "<!DOCTYPE html><html><head><title>Please wait</title></head><body><h1>The service is starting</h1></body></html>\n"

// faulted lets the switches on requests act, and tells whether the request has its answer. An error is that answer.
func (h *Hub) faulted(w http.ResponseWriter, r *http.Request, class PathClass) (bool, error) {
	if class == classInternal {
		return false, nil
	}
	if _, hit := h.faults.hit(FaultDead, class); hit {
		cutOff()
	}
	if f, hit := h.faults.hit(FaultLatency, class); hit {
		h.holdUp(r, h.faults.draw(f))
	}
	if f, hit := h.faults.hit(FaultThrottle, class); hit {
		return true, h.refuseByFault(FaultThrottle, f, http.StatusTooManyRequests)
	}
	if f, hit := h.faults.hit(FaultFail, class); hit {
		return true, h.refuseByFault(FaultFail, f, orDefault(f.Status, http.StatusServiceUnavailable))
	}
	if _, hit := h.faults.hit(FaultHTML, class); hit {
		h.answerFault(w, "text/html;charset=UTF-8", htmlPage)
		return true, nil
	}
	if _, hit := h.faults.hit(FaultEmpty, class); hit {
		h.answerFault(w, "application/json;charset=UTF-8", "")
		return true, nil
	}
	return false, nil
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
	case <-h.options.Clock.After(d):
	case <-r.Context().Done():
	case <-h.context.Done():
	}
}

func (h *Hub) refuseByFault(name FaultName, f Fault, status int) error {
	message := fmt.Sprintf("the fault switch %s answers %d", name, status)
	return &restError{status: status, code: string(name), message: message, retryAfter: f.retryHeader(h.options.Clock.Now())}
}

// answerFault answers 200 with a body that is not what was asked for.
func (h *Hub) answerFault(w http.ResponseWriter, mediaType, body string) {
	w.Header().Set("Content-Type", mediaType)
	if _, err := io.WriteString(w, body); err != nil {
		h.log.Debug("fault not delivered", "error", err)
	}
}

// checkCapacity refuses an upload when the switch's number of scans is in progress.
func (h *Hub) checkCapacity(tx *bbolt.Tx) error {
	f, on := h.faults.look(FaultCapacity)
	if !on || readCounter(tx, statBucket, string(inProgress)) < uint64(f.Scans) { //nolint:gosec // checked to be at least 1
		return nil
	}
	h.faults.hit(FaultCapacity, classUpload)
	return h.refuseByFault(FaultCapacity, f, http.StatusTooManyRequests)
}

// decide gives an accepted upload its time and its end, as the switches say.
func (h *Hub) decide(s *scan) {
	d := h.options.ScanTime
	if f, hit := h.faults.hit(FaultSlow, classUpload); hit {
		d = h.faults.drawFor(s.Name, f)
	}
	s.DueAt = s.AcceptedAt.Add(d)
	_, s.Lost = h.faults.hit(FaultLose, classUpload)
	_, s.Stuck = h.faults.hit(FaultStuck, classUpload)
}

// unstick passes the time that a stuck scan stays so, and tells whether the hub is still to work.
func (h *Hub) unstick() bool {
	for {
		left, changed := h.faults.stuckFor()
		var end <-chan time.Time
		switch {
		case left == 0:
			return h.context.Err() == nil
		case left > 0:
			end = h.options.Clock.After(left)
		}
		select {
		case <-end:
		case <-changed:
		case <-h.context.Done():
			return false
		}
	}
}

// lose deletes a running scan as if it had never been, and its code location when no other scan is left in it.
func (h *Hub) lose(tx *bbolt.Tx, id string) error {
	s, running, err := runningScan(tx, id)
	if err != nil || !running {
		return err
	}
	if err := h.endScan(tx, s, scanFailure, "LOST", "a fault switch lost it"); err != nil {
		return err
	}
	if err := count(tx, scansLost, 1); err != nil {
		return err
	}
	if err := dropScan(tx, s); err != nil {
		return err
	}
	left, err := scansOf(tx, s.CodeLocation)
	if err != nil || len(left) > 0 {
		return err
	}
	l, err := findLocation(tx, s.CodeLocation)
	if err != nil {
		return err
	}
	return h.dropLocation(tx, l)
}

// getFaults answers the switches that are on.
func (h *Hub) getFaults(*call) (reply, error) {
	return reply{status: http.StatusOK, body: h.faults.current()}, nil
}

// maxFaults bounds the JSON of switches.
const maxFaults = 64 << 10

// putFaults sets all switches: those the body leaves out are off afterwards.
func (h *Hub) putFaults(c *call) (reply, error) {
	text, err := io.ReadAll(http.MaxBytesReader(c.writer, c.Body, maxFaults))
	if err != nil {
		return reply{}, refuse(http.StatusBadRequest, "faults", "the switches cannot be read: %v", err)
	}
	f, err := ParseFaults(text)
	if err != nil {
		return reply{}, refuse(http.StatusBadRequest, "faults", "%v", err)
	}
	h.faults.replace(f)
	h.log.Warn("fault switches set", "switches", len(f.Switches))
	return h.getFaults(c)
}
