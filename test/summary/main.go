// Command summary reads the output of `go test -json` and prints what people want of it: go test's own line for each package,
// the whole output of failed tests, and the name and the reason of every skipped test. It ends with exit code 1 when a test
// failed, when there was no test at all, or, with --no-skips, when a test was skipped.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	noSkips := flag.Bool("no-skips", false, "a skipped test is a failure")
	flag.Parse()
	s := newSummary(os.Stdout)
	if err := s.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "summary:", err)
		os.Exit(1)
	}
	if err := s.verdict(*noSkips); err != nil {
		fmt.Fprintln(os.Stderr, "summary:", err)
		os.Exit(1)
	}
}
