package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
	"golang.org/x/mod/module"
)

// covered is how much of a licence's file the known text must make up, in percent: names and years stand beside it.
const covered = 50

// stated are the modules whose files hold no licence that the check knows, with what a person has found, and where. An entry without a
// licence is a module that people decided to use all the same; every audit says so.
var stated = map[string]struct{ licence, source string }{
	"github.com/cactus/go-statsd-client/statsd": {"MIT", "LICENSE.md in the root of its repository, outside of this module"},
	"github.com/xi2/xz":                         {"public domain", "its LICENSE, in words of its own"},
	"github.com/nexus-rpc/nexus-proto-annotations": {
		"", "the repository states none; it comes with Temporal's API, and the other modules of its publisher have the MIT licence",
	},
}

var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense|mit-license)([-._].*)?$`)

// writeLicences writes one line for each module: path, version, licences. The error names the modules whose licence is not known.
func writeLicences(modules []mod, to string) error {
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		return fmt.Errorf("ask go for its module cache: %w", err)
	}
	var lines []string
	var unknown []error
	for _, m := range modules {
		licences, err := licencesOf(strings.TrimSpace(string(cache)), m)
		if by, ok := stated[m.path]; err != nil && ok {
			licences, err = []string{by.licence}, nil
			if by.licence == "" {
				licences = []string{"none stated"}
				fmt.Printf("%s %s has no stated licence: %s\n", m.path, m.version, by.source)
			}
		}
		if err != nil {
			unknown = append(unknown, fmt.Errorf("licence of %s %s: %w", m.path, m.version, err))
			licences = []string{"unknown"}
		}
		lines = append(lines, m.path+"\t"+m.version+"\t"+strings.Join(licences, " AND ")+"\n")
	}
	if to != "" {
		if err := os.WriteFile(to, []byte(strings.Join(lines, "")), 0o644); err != nil { //nolint:gosec // a list for everyone
			return fmt.Errorf("write the licences: %w", err)
		}
	}
	return errors.Join(unknown...)
}

// licencesOf reads the files of a module that are named like licences.
func licencesOf(cache string, m mod) ([]string, error) {
	if m.path == standard {
		return []string{"BSD-3-Clause"}, nil // https://go.dev/LICENSE
	}
	escaped, err := module.EscapePath(m.path)
	if err != nil {
		return nil, err
	}
	version, err := module.EscapeVersion(m.version)
	if err != nil {
		return nil, err
	}
	directory := filepath.Join(cache, escaped+"@"+version)
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, entry := range entries {
		if entry.IsDir() || !licenceFile.MatchString(entry.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(directory, entry.Name()))
		if err != nil {
			return nil, err
		}
		found = append(found, licencesIn(text)...)
	}
	slices.Sort(found)
	if found = slices.Compact(found); len(found) == 0 {
		return nil, errors.New("no file with a known licence in " + directory)
	}
	return found, nil
}

// licencesIn names the licences that a text consists of.
func licencesIn(text []byte) []string {
	coverage := licensecheck.Scan(text)
	if coverage.Percent < covered {
		return nil
	}
	var names []string
	for _, match := range coverage.Match {
		if !match.IsURL {
			names = append(names, match.ID)
		}
	}
	return names
}
