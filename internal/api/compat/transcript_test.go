package compat_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/api/apitest"
	"github.com/perceptor/perceptor/internal/api/compat"
	"github.com/perceptor/perceptor/model"
)

// step is one step of a transcript: a request with its reply, or a verdict of a hub.
type step struct {
	line                int
	what                string
	method, path, token string
	body                string
	status              int
	contentType, reply  string
}

// readTranscript reads the form of the files in testdata: "# " is a comment, "-- request: METHOD PATH [as
// SCOPE]" has the body below it, "-- reply: STATUS [TYPE]" what comes back, "-- verdict" has the verdict of a hub.
func readTranscript(t *testing.T, path string) []step {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var steps []step
	var into *string
	for number, line := range strings.Split(string(text), "\n") {
		head, rest, _ := strings.Cut(strings.TrimPrefix(line, "-- "), ": ")
		switch {
		case strings.HasPrefix(line, "# "):
			into = nil
		case !strings.HasPrefix(line, "-- "):
			if into != nil {
				*into += line + "\n"
			}
		case head == "request":
			words := strings.Fields(rest)
			s := step{line: number + 1, what: head, method: words[0], path: words[1], token: apitest.PerceiverToken}
			if len(words) == 4 {
				s.token = map[string]string{"operator": apitest.OperatorToken, "reader": apitest.ReaderToken}[words[3]]
			}
			steps = append(steps, s)
			into = &steps[len(steps)-1].body
		case head == "reply":
			s := &steps[len(steps)-1]
			status, contentType, _ := strings.Cut(rest, " ")
			s.status, err = strconv.Atoi(status)
			require.NoError(t, err)
			s.contentType, into = contentType, &s.reply
		case head == "verdict":
			steps = append(steps, step{line: number + 1, what: head})
			into = &steps[len(steps)-1].body
		default:
			require.Fail(t, "not understood", "%s:%d: %s", path, number+1, line)
		}
	}
	return steps
}

func TestTranscripts(t *testing.T) {
	for _, generation := range []string{"old", "current"} {
		t.Run(generation, func(t *testing.T) {
			s := apitest.Serve(t, compat.API(generation == "old", model.Platform{}))
			path := filepath.Join("testdata", generation+".transcript")
			for _, each := range readTranscript(t, path) {
				where := fmt.Sprintf("%s:%d", path, each.line)
				if each.what == "verdict" {
					var known model.Summary
					require.NoError(t, json.Unmarshal([]byte(each.body), &known), where)
					s.Judge(known)
					continue
				}
				got := s.As(each.token, each.method, each.path, strings.TrimSpace(each.body))
				require.Equal(t, each.status, got.Status, "%s: %s", where, got.Body)
				require.Equal(t, strings.TrimSpace(each.reply), strings.TrimSpace(got.Body), where)
				if each.contentType != "" {
					require.Equal(t, each.contentType, got.Header.Get("Content-Type"), where)
				} else {
					require.Equal(t, http.StatusOK, got.Status, where)
				}
			}
		})
	}
}
