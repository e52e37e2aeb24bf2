package rest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"

	"github.com/perceptor/perceptor/internal/hub/builtin/jobs"
	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/internal/hub/builtin/store"
)

// data answers /internal/vulnerability-data.
type data struct{ *Server }

// dataView is what the hub has of vulnerability data.
type dataView struct {
	Generation uint64 `json:"generation"`
	Records    int    `json:"records"`
	// Ecosystems counts records by ecosystem; a record may be about several.
	Ecosystems map[string]int `json:"ecosystems"`
	LoadedAt   stamp          `json:"loadedAt"`
	// Loading is how far a load is that runs now.
	Loading *jobs.LoadReport `json:"loading,omitempty"`
	// Rejudging says that some versions are still shown as the data before judged them.
	Rejudging bool `json:"rejudging"`
}

func (s data) get(*call) (reply, error) {
	var g store.Generation
	err := s.store.View(func(tx *store.Tx) (err error) {
		g, err = tx.Data().Current()
		return err
	})
	if g.Ecosystems == nil {
		g.Ecosystems = map[string]int{}
	}
	return reply{status: http.StatusOK, body: dataView{
		Generation: g.Number, Records: g.Records, Ecosystems: g.Ecosystems, LoadedAt: stamp(g.LoadedAt),
		Loading: s.jobs.Updates.Progress(), Rejudging: s.jobs.Judging.Stale(),
	}}, err
}

// putData loads the body: one OSV record a line, or the same in gzip.
func (s data) put(c *call) (reply, error) {
	mode := jobs.LoadMode(c.URL.Query().Get("mode"))
	if mode == "" {
		mode = jobs.Replace
	}
	if mode != jobs.Replace && mode != jobs.Merge {
		return reply{}, refuse(http.StatusBadRequest, "mode", "mode=%.20q is neither %s nor %s", mode, jobs.Replace, jobs.Merge)
	}
	body, err := unpacked(c.Body)
	if err != nil {
		return reply{}, refuse(http.StatusBadRequest, "body", "the body begins like gzip and is not: %v", err)
	}
	report, err := s.jobs.Updates.Load(c.Context(), lines(body), mode)
	switch {
	case errors.Is(err, jobs.ErrLoading):
		return reply{}, refuse(http.StatusConflict, "loading", "%v", err)
	case errors.Is(err, jobs.ErrNoRecords) && report.Malformed > 0:
		first := report.MalformedRecords[0]
		return reply{}, refuse(http.StatusBadRequest, "records", "%v (%d malformed; the first is line %d: %s)", err, report.Malformed, first.Line, first.Reason)
	case errors.Is(err, jobs.ErrNoRecords):
		return reply{}, refuse(http.StatusBadRequest, "records", "%v", err)
	case errors.Is(err, errInput):
		return reply{}, refuse(http.StatusBadRequest, "body", "%v: the old data stay", err)
	}
	return reply{status: http.StatusOK, body: report}, err
}

// unpacked reads gzip and plain text alike, recognised by gzip's first two bytes, which begin no JSON.
func unpacked(body io.Reader) (io.Reader, error) {
	buffered := bufio.NewReaderSize(body, 1<<16)
	head, err := buffered.Peek(2)
	if err != nil || !bytes.Equal(head, []byte{0x1f, 0x8b}) {
		return buffered, nil // a body shorter than that is reported when it is read
	}
	return gzip.NewReader(buffered)
}

// errInput says that the input broke off or holds a line beyond all measure.
var errInput = errors.New("the input cannot be read to its end")

// lines yields lines without the space around them. A line is valid until the next one is asked for.
func lines(r io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		scanner := bufio.NewScanner(r)
		scanner.Buffer(make([]byte, 0, 1<<16), osv.MaxRecordSize+1)
		for scanner.Scan() {
			if !yield(bytes.TrimSpace(scanner.Bytes()), nil) {
				return
			}
		}
		if err := scanner.Err(); err != nil {
			yield(nil, fmt.Errorf("%w: %w", errInput, err))
		}
	}
}
