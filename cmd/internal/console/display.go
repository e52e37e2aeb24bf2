package console

import (
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/docker/go-units"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/perceptor/perceptor/starter"
)

// Display shows scans in progress.
type Display interface {
	// Line starts the line of one image.
	Line(name string) Line
	// Close ends the display; everything is written then.
	Close()
}

// Line is one image's line. Its methods may be called from any goroutine.
type Line interface {
	Show(now starter.CurrentStep)
	End(text string)
}

// NewDisplay draws progress bars on a terminal and writes plain lines elsewhere.
func NewDisplay(out *os.File) Display {
	if term.IsTerminal(int(out.Fd())) {
		return &bars{progress: mpb.New(mpb.WithOutput(out), mpb.WithAutoRefresh())}
	}
	return &plain{out: out}
}

// describe says what a scan is doing, in a few words.
func describe(now starter.CurrentStep) string {
	text := map[string]string{
		"LookUpScan": "asking the hub", "PullImage": "pulling", "UploadScan": "uploading",
		"AwaitHubScan": "at the hub", "FetchVerdict": "reading the verdict", "ReportScan": "done",
	}[now.Step]
	if now.Step == "" {
		return "waiting for " + now.WaitingFor
	}
	if now.Step == "PullImage" && now.Waiting && now.Attempt == 1 {
		return "in the queue"
	}
	if now.Step == "PullImage" && now.Progress.Phase != "" && now.Progress.Phase != "pull" {
		text = "cataloging packages: " + now.Progress.Phase
	}
	if now.Hub != "" {
		text += ": " + now.Hub
	}
	if now.Attempt > 1 && now.Step != "AwaitHubScan" {
		text += fmt.Sprintf(" (attempt %d: %s)", now.Attempt, now.LastFailure)
	}
	return text
}

// plain writes a line only when the text changes, so that logs stay readable.
type plain struct {
	mu  sync.Mutex
	out io.Writer
}

func (p *plain) Line(name string) Line { return &plainLine{plain: p, name: name} }
func (p *plain) Close()                {}

type plainLine struct {
	*plain
	name, last string
}

func (l *plainLine) Show(now starter.CurrentStep) { l.say(describe(now)) }
func (l *plainLine) End(text string)              { l.say(text) }

func (l *plainLine) say(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if text == l.last {
		return
	}
	l.last = text
	_, _ = fmt.Fprintf(l.out, "%s: %s\n", l.name, text)
}

// bars draws one bar an image.
type bars struct{ progress *mpb.Progress }

// barWidth and nameWidth leave room for the words on a terminal of 100 columns.
const (
	barWidth  = 20
	nameWidth = 40
)

func (b *bars) Line(name string) Line {
	l := &barLine{}
	l.text = "starting"
	l.bar = b.progress.New(0, mpb.BarStyle(), mpb.BarWidth(barWidth),
		mpb.PrependDecorators(decor.Name(name, decor.WC{W: nameWidth, C: decor.DindentRight})),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return l.words() })))
	return l
}

func (b *bars) Close() { b.progress.Wait() }

type barLine struct {
	mu   sync.Mutex
	bar  *mpb.Bar
	text string
}

func (l *barLine) words() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text
}

func (l *barLine) Show(now starter.CurrentStep) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = describe(now)
	if p := now.Progress; now.Step == "PullImage" && p.Total > 0 {
		l.text += fmt.Sprintf(" %s of %s", units.HumanSize(float64(p.Done)), units.HumanSize(float64(p.Total)))
	}
	// A total of one more keeps the bar open until the scan has ended, whatever the step in between.
	l.bar.SetTotal(max(now.Progress.Total, 1)+1, false)
	l.bar.SetCurrent(now.Progress.Done)
}

func (l *barLine) End(text string) {
	l.mu.Lock()
	l.text = text
	l.mu.Unlock()
	l.bar.SetTotal(-1, true)
}
