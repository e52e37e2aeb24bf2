package rest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"

	"github.com/perceptor/perceptor/internal/hub/builtin/jobs"
	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/internal/hub/builtin/store"
	"github.com/perceptor/perceptor/model"
)

// data answers /internal/vulnerability-data.
type data struct{ *Server }

// DataView is what the hub has of vulnerability data.
type DataView struct {
	Generation uint64 `json:"generation"`
	// Records counts each record once in every ecosystem that it is about.
	Records int `json:"records"`
	// Ecosystems counts records by ecosystem and release; a record may be about several.
	Ecosystems map[string]int `json:"ecosystems"`
	// Data says where the data of each ecosystem come from and how far they go.
	Data     []EcosystemView `json:"data"`
	LoadedAt stamp           `json:"loadedAt"`
	// Loading is how far a load is that runs now.
	Loading *jobs.LoadReport `json:"loading,omitempty"`
	// Updates says how the updates go; missing when there are none.
	Updates *jobs.FeedReport `json:"updates,omitempty"`
	// Rejudging says that some versions are still shown as the data before judged them.
	Rejudging bool `json:"rejudging"`
}

// EcosystemView is the data of one ecosystem.
type EcosystemView struct {
	model.DataSource
	Records  int   `json:"records"`
	LoadedAt stamp `json:"loadedAt"`
}

func (s data) get(*call) (reply, error) {
	view, err := s.Data()
	return reply{status: http.StatusOK, body: view}, err
}

// Data says what the hub has of vulnerability data.
func (s *Server) Data() (DataView, error) {
	var g store.Generation
	err := s.store.View(func(tx *store.Tx) (err error) {
		g, err = tx.Data().Current()
		return err
	})
	view := DataView{
		Generation: g.Number, Ecosystems: map[string]int{}, Data: []EcosystemView{}, LoadedAt: stamp(g.LoadedAt),
		Loading: s.jobs.Updates.Progress(), Rejudging: s.jobs.Judging.Stale(),
	}
	if s.jobs.Feed != nil {
		report := s.jobs.Feed.Report()
		view.Updates = &report
	}
	for _, name := range slices.Sorted(maps.Keys(g.Ecosystems)) {
		held := g.Ecosystems[name]
		view.Records += held.Records
		if name == "" {
			continue // about nothing that is judged
		}
		maps.Copy(view.Ecosystems, held.Releases)
		view.Data = append(view.Data, EcosystemView{
			DataSource: model.DataSource{Ecosystem: name, Source: held.Source, AsOf: held.AsOf, Complete: held.Complete, Sample: held.Sample},
			Records:    held.Records, LoadedAt: stamp(held.LoadedAt),
		})
	}
	return view, err
}

// put loads the body: one OSV record a line, or the same in gzip. Queries: mode (replace or merge), source, asOf, complete and
// sample (true or false); see jobs.LoadOptions.
func (s data) put(c *call) (reply, error) {
	options, err := loadOptions(c.URL.Query())
	if err != nil {
		return reply{}, err
	}
	body, err := unpacked(c.Body)
	if err != nil {
		return reply{}, refuse(http.StatusBadRequest, "body", "the body begins like gzip and is not: %v", err)
	}
	report, err := s.jobs.Updates.Load(c.Context(), lines(body), options)
	switch {
	case errors.Is(err, jobs.ErrLoading):
		return reply{}, refuse(http.StatusConflict, "loading", "%v", err)
	case errors.Is(err, jobs.ErrNoRecords) && report.Malformed > 0:
		first := report.MalformedRecords[0]
		return reply{}, refuse(http.StatusBadRequest, "records", "%v (%d malformed): the old data stay; line %d is the first: %s", err, report.Malformed, first.Line, first.Reason)
	case errors.Is(err, jobs.ErrNoRecords):
		return reply{}, refuse(http.StatusBadRequest, "records", "%v: the old data stay", err)
	case errors.Is(err, errInput):
		return reply{}, refuse(http.StatusBadRequest, "body", "%v: the old data stay", err)
	}
	return reply{status: http.StatusOK, body: report}, err
}

// maxSource bounds the text that says where records come from.
const maxSource = 512

func loadOptions(values url.Values) (jobs.LoadOptions, error) {
	o := jobs.LoadOptions{Mode: jobs.LoadMode(values.Get("mode")), Source: values.Get("source")}
	if o.Mode != "" && o.Mode != jobs.Replace && o.Mode != jobs.Merge {
		return o, refuse(http.StatusBadRequest, "mode", "mode=%.20q is neither %s nor %s", o.Mode, jobs.Replace, jobs.Merge)
	}
	if len(o.Source) > maxSource || !utf8.ValidString(o.Source) {
		return o, refuse(http.StatusBadRequest, "source", "source must be UTF-8 text of at most %d bytes", maxSource)
	}
	for name, into := range map[string]*bool{"complete": &o.Complete, "sample": &o.Sample} {
		if text := values.Get(name); text != "" {
			is, err := strconv.ParseBool(text)
			if err != nil {
				return o, refuse(http.StatusBadRequest, name, "%s=%.20q is neither true nor false", name, text)
			}
			*into = is
		}
	}
	if text := values.Get("asOf"); text != "" {
		at, err := parseStamp(text)
		if err != nil {
			return o, refuse(http.StatusBadRequest, "asOf", "asOf: %v", err)
		}
		o.AsOf = at
	}
	return o, nil
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
