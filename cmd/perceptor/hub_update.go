package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/perceptor/perceptor/internal/config"
	"github.com/perceptor/perceptor/internal/hub/builtin"
	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
)

// updateFlags are the flags of perceptor hub update.
type updateFlags struct {
	from, hub, mode, asOf string
	complete              bool
	ecosystems            []string
}

func newHubUpdate(s *shared) *cobra.Command {
	var f updateFlags
	cmd := &cobra.Command{
		Use:   "update --from URL|DIRECTORY|ZIP",
		Short: "Load vulnerability records into the built-in hub",
		Long: `Load vulnerability records in the OSV format into a running built-in hub.

--from is a ZIP archive, a directory of JSON files, or a web address. The web address is that of one archive, or of a folder
with one <ecosystem>/all.zip for each ecosystem, as OSV publishes them.

The new records replace the old records of the same ecosystems when the last record has arrived. Other ecosystems stay as
they are. An update that breaks off changes nothing. The hub then judges all images again, without a new scan.

Only a folder's <ecosystem>/all.zip, or --complete, counts as all records of an ecosystem. A package that was compared with
less is not assessed.`,
		Example: `  perceptor hub update --from https://osv-vulnerabilities.storage.googleapis.com
  perceptor hub update --from ./Debian.zip --mode merge`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.load(cmd.Flags())
			if err != nil {
				return err
			}
			h, err := pickHub(c, f.hub)
			if err != nil {
				return err
			}
			return f.run(cmd, h)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.from, "from", "", "source of the records: URL, directory or ZIP file")
	flags.StringVar(&f.hub, "hub", "", "name of the hub to update (default: the only configured hub)")
	flags.StringVar(&f.mode, "mode", string(builtin.Replace), "replace: delete the old records of the same ecosystems; merge: keep old records that the new ones do not replace")
	flags.BoolVar(&f.complete, "complete", false, "the records are all records of every ecosystem in them (<ecosystem>/all.zip always is)")
	flags.StringVar(&f.asOf, "as-of", "", "time of the last check against the source, RFC 3339 or a date (default: the newest record of each ecosystem)")
	flags.StringSliceVar(&f.ecosystems, "ecosystem", nil, "ecosystems to load from a folder of archives (default: all that the hub can judge)")
	_ = cmd.MarkFlagRequired("from")
	return cmd
}

func pickHub(c config.Config, name string) (config.Hub, error) {
	if len(c.Hubs) == 0 {
		return config.Hub{}, errors.New("no hub is configured, and no perceptor-dev is running on this machine; use --config or --dev")
	}
	if name == "" && len(c.Hubs) == 1 {
		return c.Hubs[0], nil
	}
	for _, h := range c.Hubs {
		if h.Name == name {
			return h, nil
		}
	}
	return config.Hub{}, fmt.Errorf("hub %q is not one of the %d configured hubs; choose one with --hub", name, len(c.Hubs))
}

// run streams the records from their source to the hub. They are never all in memory.
func (f updateFlags) run(cmd *cobra.Command, h config.Hub) error {
	say := &updateProgress{out: os.Stderr, live: term.IsTerminal(int(os.Stderr.Fd()))}
	read, write := io.Pipe()
	// The hub is near, so packing harder would take longer than it saves.
	packed, err := gzip.NewWriterLevel(write, gzip.BestSpeed)
	if err != nil {
		return err
	}
	var files []string // by the line that was sent
	source, err := osv.Open(cmd.Context(), f.from, osv.Options{
		Progress: say.show, Ecosystems: f.ecosystems,
		Archive: func(ecosystem string) error {
			files = append(files, "")
			return writeLine(packed, builtin.ArchiveLine(ecosystem))
		},
	})
	if err != nil {
		return err
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, err := source.Texts(cmd.Context(), func(name string, record []byte) error {
			files = append(files, name)
			return writeLine(packed, record)
		})
		if err == nil {
			err = packed.Close()
		}
		_ = write.CloseWithError(err)
	}()
	report, err := putRecords(cmd.Context(), h, f.query(), read)
	_ = read.CloseWithError(errors.New("the hub ended the transfer"))
	<-sent
	say.end()
	if err != nil {
		return err
	}
	say.malformed(report, files)
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d records loaded, %d malformed records skipped, %d old records kept\n",
		report.Records, report.Malformed, report.Kept)
	return err
}

// query says how the hub takes the records.
func (f updateFlags) query() url.Values {
	source := f.from
	if !strings.Contains(source, "://") {
		if absolute, err := filepath.Abs(source); err == nil {
			source = absolute
		}
	}
	values := url.Values{"mode": {f.mode}, "source": {source}, "complete": {strconv.FormatBool(f.complete)}}
	if f.asOf != "" {
		values.Set("asOf", f.asOf)
	}
	return values
}

// writeLine writes one JSON text on one line. In JSON, the end of a line is a space like any other.
func writeLine(out io.Writer, record []byte) error {
	line := bytes.Map(func(c rune) rune {
		if c == '\n' || c == '\r' {
			return ' '
		}
		return c
	}, record)
	_, err := out.Write(append(line, '\n'))
	return err
}

// putRecords sends the stream to the hub and reads its report.
func putRecords(ctx context.Context, h config.Hub, query url.Values, body io.Reader) (builtin.LoadReport, error) {
	var report builtin.LoadReport
	send := hubRequest{
		method: http.MethodPut, path: "vulnerability-data?" + query.Encode(), what: "records", contentType: "application/x-ndjson", body: body,
	}
	return report, send.ask(ctx, h, &report)
}

// updateProgress shows the progress of an update: on a terminal in one line, elsewhere with a new line now and then.
type updateProgress struct {
	out   *os.File
	live  bool
	last  osv.Progress
	shown int
}

const (
	// notesAtMost is how many malformed records are shown one by one. The last line counts all.
	notesAtMost = 10
	// rewriteEvery and repeatEvery are numbers of records between two lines.
	rewriteEvery = 500
	repeatEvery  = 50_000
)

func (u *updateProgress) show(p osv.Progress) {
	u.last = p
	every := repeatEvery
	if u.live {
		every = rewriteEvery
	}
	if p.Records/every == u.shown && !p.Downloading {
		return
	}
	if p.Downloading && !u.live {
		return
	}
	u.shown = p.Records / every
	u.write()
}

func (u *updateProgress) write() {
	w := bufio.NewWriter(u.out)
	defer w.Flush() //nolint:errcheck // progress only
	what := "reading"
	if u.last.Downloading {
		what = "fetching"
	}
	share := ""
	if u.last.Total > 0 {
		share = fmt.Sprintf(" %3d %%", 100*u.last.Done/u.last.Total)
	}
	text := fmt.Sprintf("%s %s%s, %d records", what, u.last.Name, share, u.last.Records)
	if u.live {
		_, _ = fmt.Fprintf(w, "\r\x1b[K%s", text)
		return
	}
	_, _ = fmt.Fprintln(w, text)
}

// malformed names the first records that the hub could not read, by the files that they are of; files are by the line that was sent.
func (u *updateProgress) malformed(report builtin.LoadReport, files []string) {
	for _, each := range report.MalformedRecords[:min(len(report.MalformedRecords), notesAtMost)] {
		file := fmt.Sprintf("line %d", each.Line)
		if each.Line > 0 && each.Line <= len(files) {
			file = files[each.Line-1]
		}
		_, _ = fmt.Fprintf(u.out, "%s: record %q skipped: %s\n", file, each.ID, each.Reason)
	}
}

func (u *updateProgress) end() {
	if u.live {
		_, _ = fmt.Fprintln(u.out)
	}
}
