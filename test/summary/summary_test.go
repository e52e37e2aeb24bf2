package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What go test -json says of a package with a test of each kind.
const (
	passes = `{"Action":"start","Package":"a"}
{"Action":"run","Package":"a","Test":"TestGood"}
{"Action":"output","Package":"a","Test":"TestGood","Output":"noise\n"}
{"Action":"pass","Package":"a","Test":"TestGood"}
{"Action":"output","Package":"a","Output":"PASS\n"}
{"Action":"output","Package":"a","Output":"ok  \ta\t0.1s\n"}
{"Action":"pass","Package":"a"}
`
	skips = `{"Action":"output","Package":"b","Test":"TestEtcd","Output":"=== RUN   TestEtcd\n"}
{"Action":"output","Package":"b","Test":"TestEtcd","Output":"    b_test.go:7: needs etcd: apt-get install etcd-server\n"}
{"Action":"output","Package":"b","Test":"TestEtcd","Output":"--- SKIP: TestEtcd (0.00s)\n"}
{"Action":"skip","Package":"b","Test":"TestEtcd"}
{"Action":"output","Package":"b","Output":"ok  \tb\t0.1s\n"}
{"Action":"pass","Package":"b"}
`
	fails = `{"Action":"output","Package":"c","Test":"TestBad","Output":"    c_test.go:7: wrong\n"}
{"Action":"fail","Package":"c","Test":"TestBad"}
{"Action":"output","Package":"c","Output":"FAIL\tc\t0.1s\n"}
{"Action":"fail","Package":"c"}
`
	noTests = `{"Action":"output","Package":"d","Output":"?   \td\t[no test files]\n"}
{"Action":"skip","Package":"d"}
`
	panics = `{"Action":"output","Package":"e","Test":"TestSlow","Output":"panic: test timed out\n"}
{"Action":"output","Package":"e","Output":"FAIL\te\t0.1s\n"}
{"Action":"fail","Package":"e"}
`
	broken = `{"ImportPath":"f","Action":"build-output","Output":"f.go:1: undefined: x\n"}
{"ImportPath":"f","Action":"build-fail"}
{"Action":"output","Package":"f","Output":"FAIL\tf [build failed]\n"}
{"Action":"fail","Package":"f"}
`
)

func TestSummary(t *testing.T) {
	for name, row := range map[string]struct {
		in, says, wrong string
		noSkips         bool
	}{
		"passed":           {in: passes + noTests, says: "ok  \ta\t0.1s\n?   \td\t[no test files]\n", noSkips: true},
		"skipped, allowed": {in: skips, says: "skipped: b TestEtcd: b_test.go:7: needs etcd: apt-get install etcd-server\nok  \tb\t0.1s\n"},
		"skipped, forbidden": {
			in: passes + skips, noSkips: true, wrong: "1 tests were skipped",
			says: "ok  \ta\t0.1s\nskipped: b TestEtcd: b_test.go:7: needs etcd: apt-get install etcd-server\nok  \tb\t0.1s\n",
		},
		"failed":      {in: fails + passes, says: "    c_test.go:7: wrong\nFAIL\tc\t0.1s\nok  \ta\t0.1s\n", wrong: "1 of 2 packages failed"},
		"panicked":    {in: panics, says: "panic: test timed out\nFAIL\te\t0.1s\n", wrong: "1 of 1 packages failed"},
		"not built":   {in: broken, says: "f.go:1: undefined: x\nFAIL\tf [build failed]\n", wrong: "1 of 1 packages failed"},
		"other lines": {in: "no C compiler here\n" + passes, says: "no C compiler here\nok  \ta\t0.1s\n"},
		"nothing":     {in: "", says: "", wrong: "go test has reported no package"},
		"cut short":   {in: passes + strings.SplitAfter(fails, "\n")[0], says: "ok  \ta\t0.1s\n", wrong: "the output of go test ends early"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			s := newSummary(&out)
			require.NoError(t, s.read(strings.NewReader(row.in)))
			require.Equal(t, row.says, out.String())
			if err := s.verdict(row.noSkips); row.wrong == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, row.wrong)
			}
		})
	}
}
