package scanclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/scanclient/protocol"
	"github.com/perceptor/perceptor/model"
)

// TestReasons compares every reason a person may read with the list in testdata, so that a change of words is seen.
// SCANCLIENT_GOLDEN=write writes the list again.
func TestReasons(t *testing.T) {
	endings := []ending{
		endedTimeout(30 * time.Minute), endedUploadTimeout(15 * time.Minute), endedCancelled(context.Canceled),
		endedMemory(2200<<20, 2<<30), endedScratch(20 << 30), endedFlood(maxLines),
		endedGarbage(errors.New("a line of more than 65536 bytes")), endedAfterLast(),
		endedSignal(syscall.SIGKILL), endedSignal(syscall.SIGTERM), endedSignal(syscall.SIGSEGV), endedSilent(), endedContradiction(74),
		endedWithCode(64, "unknown flag"), endedWithCode(73, ""), endedWithCode(1, ""),
		endedByItself(protocol.Failure{Class: model.Unauthorized, Message: "hub.example answered the login with 401: check the token"}),
		endedNotStarted(errors.New("fork: resource temporarily unavailable")), endedNoSBOM("/workspace/image.cdx.json"),
		endedBadSBOM(errors.New("its JSON ends in the middle")), endedLargeSBOM(maxSBOM),
		endedBadRequest(`the tar "image.tar" is not an absolute path`), endedWithoutDate(errors.New("the key UpdatedAt is missing")),
		endedScratchDir(syscall.ENOSPC), endedScratchDir(syscall.EIO),
	}
	var lines strings.Builder
	for _, e := range endings {
		failure := (task{op: OpSBOM}).failed(e, false, "")
		_, _ = fmt.Fprintf(&lines, "%s: %s\n", e.class, failure)
	}
	const golden = "testdata/reasons.golden"
	if os.Getenv("SCANCLIENT_GOLDEN") == "write" {
		require.NoError(t, os.WriteFile(golden, []byte(lines.String()), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), lines.String())
}

func TestParseStat(t *testing.T) {
	const tail = " S 7 8 8 0 -1 4194560 109 0 0 0 1 2 0 0 20 0 1 0 5555 10000000 300 18446744073709551615 1 1 0"
	cases := []struct{ name, line, wrong string }{
		{"a plain name", "42 (sh)" + tail, ""},
		{"a name that looks like a status", "42 (a) R 1 2 (b)" + tail, ""},
		{"no name", "42 sh" + tail, "malformed"},
		{"too short", "42 (sh) S 7 8", "malformed"},
		{"no number", "42 (sh)" + strings.Replace(tail, "5555", "x", 1), "malformed"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseStat(42, c.line)
			if c.wrong != "" {
				require.ErrorContains(t, err, c.wrong)
				return
			}
			require.NoError(t, err)
			want := process{pid: 42, parent: 7, group: 8, started: 5555, state: 'S', resident: 300 * int64(os.Getpagesize())}
			require.Equal(t, want, got)
		})
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add("42 (sh) S 7 8 8 0 -1 4194560 109 0 0 0 1 2 0 0 20 0 1 0 5555 10000000 300 1 1 1 0")
	f.Add("42 (a) R 1")
	f.Fuzz(func(t *testing.T, line string) {
		p, err := parseStat(42, line)
		if err != nil {
			require.Zero(t, p)
			return
		}
		require.Equal(t, 42, p.pid)
	})
}

func TestCheckCycloneDX(t *testing.T) {
	cases := []struct{ name, sbom, wrong string }{
		{"the smallest", `{"bomFormat":"CycloneDX","specVersion":"1.6"}`, ""},
		{"with components", goodCycloneDX, ""},
		{"empty", ``, "an empty file"},
		{"a page", `<html></html>`, "something that is not JSON"},
		{"a list", `[]`, "want a JSON object"},
		{"cut off", goodCycloneDX[:len(goodCycloneDX)-9], "ends in the middle"},
		{"malformed", `{"bomFormat":"CycloneDX",,}`, "malformed"},
		{"another format", `{"spdxVersion":"SPDX-2.3"}`, `want bomFormat "CycloneDX"`},
		{"the name in the wrong place", `{"metadata":{"bomFormat":"CycloneDX","specVersion":"1.6"}}`, `want bomFormat "CycloneDX"`},
		{"components of the wrong shape", `{"bomFormat":"CycloneDX","specVersion":"1.6","components":{}}`, "no list"},
		{"two SBOMs", goodCycloneDX + goodCycloneDX, "something follows"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := checkCycloneDX(strings.NewReader(c.sbom))
			if c.wrong == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.wrong)
		})
	}
}

const goodCycloneDX = `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"name":"a","properties":[{"name":"x"}]}],"version":1}`

func FuzzCheckCycloneDX(f *testing.F) {
	f.Add(goodCycloneDX)
	f.Add(`{"bomFormat":"CycloneDX"`)
	f.Fuzz(func(t *testing.T, sbom string) {
		if _, err := checkCycloneDX(strings.NewReader(sbom)); err == nil {
			require.True(t, json.Valid([]byte(sbom)), sbom)
		}
	})
}

func TestBoundedLog(t *testing.T) {
	cases := []struct {
		name   string
		writes []string
		want   string
	}{
		{"nothing", nil, ""},
		{"what fits", []string{"abcd", "efgh"}, "abcdefgh"},
		{"what does not", []string{"abcdef", "ghij", "kl"}, "abcd\n[... 4 bytes left out ...]\nijkl"},
		{"one large piece", []string{strings.Repeat("x", 100) + "tail"}, "xxxx\n[... 96 bytes left out ...]\ntail"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			log := newBoundedLog(8)
			for _, piece := range c.writes {
				n, err := log.Write([]byte(piece))
				require.NoError(t, err)
				require.Equal(t, len(piece), n)
			}
			require.Equal(t, c.want, log.String())
		})
	}
}
