package protocol_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/scanclient/protocol"
	"github.com/perceptor/perceptor/model"
)

func TestParse(t *testing.T) {
	cases := []struct {
		name, line string
		want       protocol.Message
		wrong      string
	}{
		{"progress", `{"phase":"unpack","done":1,"total":2}`, protocol.Message{Progress: &protocol.Progress{Phase: "unpack", Done: 1, Total: 2}}, ""},
		{"progress of unknown total", `{"phase":"login"}`, protocol.Message{Progress: &protocol.Progress{Phase: "login"}}, ""},
		{"a result", `{"result":{"components":3,"sbomBytes":9}}`, protocol.Message{Result: &protocol.Result{Components: 3, SBOMBytes: 9}}, ""},
		{"an unknown key", `{"result":{"scanID":"7"},"mood":"good"}`, protocol.Message{Result: &protocol.Result{ScanID: "7"}}, ""},
		{
			"an error", `{"error":{"class":"throttled","message":"busy","retryAfterSeconds":5,"refused":true}}`,
			protocol.Message{Failure: &protocol.Failure{Class: model.Throttled, Message: "busy", RetryAfterSeconds: 5, Refused: true}},
			"",
		},
		{"nothing", ``, protocol.Message{}, "want one JSON object"},
		{"no object", `[1]`, protocol.Message{}, "want one JSON object"},
		{"an empty object", `{}`, protocol.Message{}, "want one JSON object"},
		{"two things", `{"phase":"unpack","result":{}}`, protocol.Message{}, "want one JSON object"},
		{"two objects", `{"phase":"unpack"}{}`, protocol.Message{}, "nothing after it"},
		{"an unknown phase", `{"phase":"dance"}`, protocol.Message{}, `unknown phase "dance"`},
		{"less than nothing", `{"phase":"unpack","done":-1}`, protocol.Message{}, "below zero"},
		{"a negative count", `{"result":{"components":-1}}`, protocol.Message{}, "below zero"},
		{"an unknown class", `{"error":{"class":"odd","message":"x"}}`, protocol.Message{}, `unknown failure class "odd"`},
		{"an error without words", `{"error":{"class":"invalid"}}`, protocol.Message{}, "without a message"},
		{"a wait of years", `{"error":{"class":"throttled","message":"x","retryAfterSeconds":99999999}}`, protocol.Message{}, "a wait of 99999999 seconds"},
		{"too long", `{"phase":"` + strings.Repeat("x", protocol.MaxLine) + `"}`, protocol.Message{}, "more than 65536 bytes"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := protocol.Parse([]byte(c.line))
			if c.wrong != "" {
				require.ErrorContains(t, err, c.wrong)
				require.Less(t, len(err.Error()), 400)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got)
			require.Equal(t, c.want.Progress == nil, got.Last())
		})
	}
}

// FuzzParse checks that whatever is understood is within the bounds, and is understood the same when written again.
func FuzzParse(f *testing.F) {
	f.Add(`{"phase":"unpack","done":1,"total":2}`)
	f.Add(`{"result":{"components":3,"scanURL":"https://hub/api/scans/1"}}`)
	f.Add(`{"error":{"class":"invalid","message":"x","refused":true}}`)
	f.Fuzz(func(t *testing.T, line string) {
		m, err := protocol.Parse([]byte(line))
		if err != nil {
			require.Equal(t, protocol.Failure{}, orZero(m.Failure))
			return
		}
		var out bytes.Buffer
		w := protocol.NewWriter(&out, time.Now)
		switch {
		case m.Progress != nil:
			err = w.Progress(m.Progress.Phase, m.Progress.Done, m.Progress.Total)
		case m.Result != nil:
			err = w.Result(*m.Result)
		default:
			if len(m.Failure.Message) > 1000 {
				return
			}
			err = w.Failure(*m.Failure)
		}
		require.NoError(t, err)
		again, err := protocol.Parse(bytes.TrimSuffix(out.Bytes(), []byte("\n")))
		require.NoError(t, err)
		require.Equal(t, m, again)
	})
}

func orZero(f *protocol.Failure) protocol.Failure {
	if f == nil {
		return protocol.Failure{}
	}
	return *f
}

func TestWriterPacesProgress(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	w := protocol.NewWriter(&out, func() time.Time { return now })
	for i := range int64(1000) {
		require.NoError(t, w.Progress(protocol.PhaseUnpack, i, 1000))
		now = now.Add(time.Millisecond)
	}
	require.NoError(t, w.Progress(protocol.PhaseCatalogue, 0, 0))
	require.Equal(t, 4+1, bytes.Count(out.Bytes(), []byte("\n")), out.String())
}

func TestWriterEndsOnce(t *testing.T) {
	var out bytes.Buffer
	w := protocol.NewWriter(&out, time.Now)
	require.NoError(t, w.Failure(protocol.Failure{Class: model.Invalid, Message: strings.Repeat("ä", 10_000), RetryAfterSeconds: 1 << 40}))
	require.NoError(t, w.Result(protocol.Result{}))
	require.NoError(t, w.Progress(protocol.PhaseWrite, 1, 1))
	m, err := protocol.Parse(bytes.TrimSuffix(out.Bytes(), []byte("\n")))
	require.NoError(t, err)
	require.Equal(t, 24*time.Hour, m.Failure.RetryAfter())
	require.True(t, strings.HasSuffix(m.Failure.Message, "ä..."))
}

func TestWriterLeavesOutWhatIsTooLong(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, protocol.NewWriter(&out, time.Now).Result(protocol.Result{ScanID: "1", ScanURL: strings.Repeat("x", 10_000)}))
	require.JSONEq(t, `{"result":{"components":0,"sbomBytes":0}}`, out.String())
}

func TestWriterTellsOfABrokenPipe(t *testing.T) {
	broken := errors.New("broken pipe")
	require.ErrorIs(t, protocol.NewWriter(failing{broken}, time.Now).Progress(protocol.PhaseLogin, 0, 1), broken)
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestExitCodesAndClasses(t *testing.T) {
	cases := []struct {
		class model.FailureClass
		code  int
		back  model.FailureClass
	}{
		{model.Throttled, 75, model.Transient},
		{model.Transient, 69, model.Transient},
		{model.Unauthorized, 77, model.Unauthorized},
		{model.NotFound, 66, model.NotFound},
		{model.Unsupported, 64, model.Unsupported},
		{model.Invalid, 65, model.Invalid},
		{model.OutOfSpace, 73, model.OutOfSpace},
		{"odd", 65, model.Invalid},
	}
	for _, c := range cases {
		t.Run(string(c.class), func(t *testing.T) {
			require.Equal(t, c.code, protocol.ExitCode(c.class))
			require.Equal(t, c.back, protocol.ClassOf(c.code))
		})
	}
	require.Equal(t, model.Invalid, protocol.ClassOf(1))
}

func TestTasksAreReadAsTheyAreWritten(t *testing.T) {
	task := protocol.Task{Tar: "/a/image.tar", SBOM: "/a/sbom.json", Scratch: "/a/scratch", ScratchQuota: 7, Name: "example.com/\"app\"", Version: "1"}
	line, err := task.Line()
	require.NoError(t, err)
	require.Equal(t, byte('\n'), line[len(line)-1])
	read, err := protocol.ParseTask(line)
	require.NoError(t, err)
	require.Equal(t, task, read)
	task.Name = strings.Repeat("x", protocol.MaxLine)
	_, err = task.Line()
	require.ErrorContains(t, err, "a task of more than 65536 bytes")
}

func TestBadTasks(t *testing.T) {
	for line, reason := range map[string]string{
		"":   "want one task as a JSON object",
		"[]": "want one task as a JSON object",
		`{"tar":"/a","sbom":"/b","scratch":"/c","more":1}`:           "want one task as a JSON object",
		`{"tar":"a","sbom":"/b","scratch":"/c"}`:                     `the path "a" of a task is not absolute`,
		`{"tar":"/a","sbom":"/b"}`:                                   `the path "" of a task is not absolute`,
		`{"tar":"/a","sbom":"/b","scratch":"/c","scratchQuota":-1}`:  "the scratch quota of a task is below zero",
		`{"tar":"` + strings.Repeat("/a", protocol.MaxLine/2) + `"}`: "a task of more than 65536 bytes",
	} {
		_, err := protocol.ParseTask([]byte(line))
		require.ErrorContains(t, err, reason, "%.80s", line)
	}
}
