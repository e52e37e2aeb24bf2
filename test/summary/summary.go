package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// event is a line of `go test -json`; see `go doc test2json`.
type event struct {
	Action, Package, Test, Output string
}

// test names a test of a package; without a name it is the package itself.
type test struct{ pkg, name string }

// summary is what was read until now.
type summary struct {
	out io.Writer
	// output is that of tests that have not ended.
	output map[test][]string
	// packages are those that have ended, failed those of them that failed.
	packages, failed, skipped int
	buildFailed               bool
}

func newSummary(out io.Writer) *summary {
	return &summary{out: out, output: map[test][]string{}}
}

// read reads all events and prints as it goes.
func (s *summary) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		var e event
		if json.Unmarshal([]byte(line), &e) == nil && e.Action != "" {
			s.add(e)
		} else {
			s.print(line)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the output of go test: %w", err)
		}
	}
}

func (s *summary) add(e event) {
	of := test{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		s.print(e.Output)
	case "build-fail":
		s.buildFailed = true
	case "output":
		s.output[of] = append(s.output[of], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endPackage(of, e.Action)
		} else {
			s.endTest(of, e.Action)
		}
	}
}

func (s *summary) endTest(of test, how string) {
	switch how {
	case "fail":
		s.print(s.output[of]...)
	case "skip":
		s.skipped++
		s.print(fmt.Sprintf("skipped: %s %s: %s\n", of.pkg, of.name, reason(s.output[of])))
	}
	delete(s.output, of)
}

// endPackage prints the package's own lines. Of a package that failed it prints everything that was not printed yet, such as the
// output of tests that a panic or the timeout has ended.
func (s *summary) endPackage(of test, how string) {
	s.packages++
	if how == "fail" {
		s.failed++
		for _, each := range s.unfinished(of.pkg) {
			s.print(s.output[each]...)
			delete(s.output, each)
		}
		s.print(s.output[of]...)
	} else {
		s.print(slices.DeleteFunc(s.output[of], func(line string) bool { return !strings.HasPrefix(line, "ok ") && !strings.HasPrefix(line, "? ") })...)
	}
	delete(s.output, of)
}

func (s *summary) unfinished(pkg string) []test {
	var all []test
	for each := range s.output {
		if each.pkg == pkg && each.name != "" {
			all = append(all, each)
		}
	}
	slices.SortFunc(all, func(a, b test) int { return strings.Compare(a.name, b.name) })
	return all
}

// reason is what a test said last before it was skipped.
func reason(output []string) string {
	for _, line := range slices.Backward(output) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "===") {
			return line
		}
	}
	return "no reason given"
}

func (s *summary) print(lines ...string) {
	for _, line := range lines {
		_, _ = io.WriteString(s.out, line)
	}
}

// verdict is an error when the run is no success.
func (s *summary) verdict(noSkips bool) error {
	switch {
	case s.packages == 0:
		return errors.New("go test has reported no package")
	case s.failed > 0 || s.buildFailed:
		return fmt.Errorf("%d of %d packages failed", s.failed, s.packages)
	case noSkips && s.skipped > 0:
		return fmt.Errorf("%d tests were skipped", s.skipped)
	case len(s.output) > 0:
		return errors.New("the output of go test ends early")
	}
	return nil
}
