package scanclient

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"

	"github.com/perceptor/perceptor/internal/scanclient/protocol"
)

// maxLines is far above what a client writes that says four lines a second over the longest time limit.
const maxLines = 100_000

// session is what a client has said so far. It is written by the goroutine that reads the client's output and read
// after that goroutine has ended.
type session struct {
	// last is the result or the failure; nil until it was read.
	last *protocol.Message
	// uploading is whether the client said that it begins to send the SBOM.
	uploading bool
	// broken is the first breach of the protocol.
	broken *ending
	// once says that the client goes on after its last line, to wait for the next task.
	once bool
	// lines counts what was read.
	lines int
}

// isSilent reports whether the client has said nothing at all.
func (s *session) isSilent() bool { return s.lines == 0 && s.broken == nil }

// listen reads the client's lines to their end, or to the last one of a task, and hands progress on. At the first breach it calls stop, then only
// drains, so that the client is not held up on its way out.
func (s *session) listen(reader *bufio.Reader, progress func(Progress), stop func(ending)) {
	for {
		line, err := reader.ReadSlice('\n')
		if len(line) > 0 {
			s.lines++
			if broken := s.take(line, err, progress); broken != nil {
				s.broken = broken
				stop(*broken)
				// The error of a pipe that ends early says nothing that the client's end does not.
				_, _ = io.Copy(io.Discard, reader)
				return
			}
		}
		if err != nil || s.once && s.last != nil {
			return
		}
	}
}

func (s *session) take(line []byte, err error, progress func(Progress)) *ending {
	if s.lines > maxLines {
		broken := endedFlood(maxLines)
		return &broken
	}
	if s.last != nil {
		broken := endedAfterLast()
		return &broken
	}
	if errors.Is(err, bufio.ErrBufferFull) {
		broken := endedGarbage(fmt.Errorf("a line of more than %d bytes", protocol.MaxLine))
		return &broken
	}
	if err != nil {
		// A line without its end was cut off in the middle: the ending of the process says why.
		return nil
	}
	message, parseErr := protocol.Parse(bytes.TrimSuffix(line, []byte("\n")))
	if parseErr != nil {
		broken := endedGarbage(parseErr)
		return &broken
	}
	if message.Last() {
		s.last = &message
		return nil
	}
	s.uploading = s.uploading || message.Progress.Phase == protocol.PhaseUpload
	if progress != nil {
		p := message.Progress
		progress(Progress{Phase: string(p.Phase), Done: p.Done, Total: p.Total})
	}
	return nil
}

// boundedLog keeps the beginning and the end of what is written to it, and says how much is missing between.
type boundedLog struct {
	mu      sync.Mutex
	half    int
	head    []byte
	tail    []byte
	dropped int64
}

func newBoundedLog(limit int) *boundedLog { return &boundedLog{half: max(limit/2, 1)} }

// Write never fails and never blocks.
func (l *boundedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	rest := p
	if room := l.half - len(l.head); room > 0 {
		n := min(room, len(rest))
		l.head = append(l.head, rest[:n]...)
		rest = rest[n:]
	}
	l.tail = append(l.tail, rest...)
	if over := len(l.tail) - l.half; over > 0 {
		l.dropped += int64(over)
		l.tail = append(l.tail[:0], l.tail[over:]...)
	}
	return len(p), nil
}

// String is the log with the given secrets blotted out.
func (l *boundedLog) String(secrets ...string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dropped == 0 {
		return blot(string(l.head)+string(l.tail), secrets)
	}
	return fmt.Sprintf("%s\n[... %d bytes left out ...]\n%s", blot(string(l.head), secrets), l.dropped, blot(string(l.tail), secrets))
}

// maxLastWords is how much of the last line of a log is shown in a reason, in bytes.
const maxLastWords = 300

// lastWords is the last line of the log that is not empty, printable and short.
func (l *boundedLog) lastWords(secrets ...string) string {
	lines := strings.Split(strings.TrimSpace(l.String(secrets...)), "\n")
	last := printable(lines[len(lines)-1])
	if len(last) > maxLastWords {
		last = strings.ToValidUTF8(last[:maxLastWords], "") + "..."
	}
	return last
}

// printable drops control characters, so that a client cannot write to a user's terminal through a reason.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, strings.ToValidUTF8(s, ""))
}

// blotted stands where a secret was.
const blotted = "[secret]"

// blot replaces every secret in text. An empty secret is none.
func blot(text string, secrets []string) string {
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, blotted)
		}
	}
	return text
}
