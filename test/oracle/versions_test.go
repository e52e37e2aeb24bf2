//go:build oracle

package oracle_test

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fromAPT are the versions in apt's package indexes.
func fromAPT(t *testing.T, _ *rand.Rand) []string {
	t.Helper()
	need(t, "dpkg", "dpkg")
	need(t, "apt-cache", "apt")
	out, err := exec.CommandContext(t.Context(), "apt-cache", "dumpavail").Output()
	require.NoError(t, err)
	var versions []string
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if version, is := strings.CutPrefix(lines.Text(), "Version: "); is {
			versions = append(versions, version)
		}
	}
	require.NoError(t, lines.Err())
	if versions = distinct(versions); len(versions) < enough {
		t.Skipf("apt knows %d versions only: apt-get update", len(versions))
	}
	return versions
}

// fromRecords are the versions that the real records of an ecosystem name.
func fromRecords(ecosystem string) func(*testing.T, *rand.Rand) []string {
	return func(t *testing.T, _ *rand.Rand) []string {
		t.Helper()
		dir := os.Getenv("OSV_DIR")
		if dir == "" {
			t.Skip("OSV_DIR is not set: it names a folder with <ecosystem>/all.zip as OSV publishes them")
		}
		archive, err := zip.OpenReader(filepath.Join(dir, ecosystem, "all.zip"))
		require.NoError(t, err)
		defer archive.Close() //nolint:errcheck // only read
		var versions []string
		for _, file := range archive.File {
			versions = append(versions, versionsIn(t, file)...)
		}
		return distinct(versions)
	}
}

func versionsIn(t *testing.T, file *zip.File) []string {
	t.Helper()
	content, err := file.Open()
	require.NoError(t, err)
	defer content.Close() //nolint:errcheck // only read
	var record struct {
		Affected []struct {
			Versions []string `json:"versions"`
			Ranges   []struct {
				Type   string              `json:"type"`
				Events []map[string]string `json:"events"`
			} `json:"ranges"`
		} `json:"affected"`
	}
	require.NoError(t, json.NewDecoder(content).Decode(&record), file.Name)
	var versions []string
	for _, affected := range record.Affected {
		versions = append(versions, affected.Versions...)
		for _, r := range affected.Ranges {
			if r.Type == "GIT" {
				continue
			}
			for _, event := range r.Events {
				for _, version := range event {
					versions = append(versions, version)
				}
			}
		}
	}
	return versions
}

// published are npm packages with thousands of versions, releases and others.
var published = []string{"react", "typescript", "webpack", "npm", "@babel/core"}

// fromNPM are all versions of a few packages.
func fromNPM(t *testing.T, _ *rand.Rand) []string {
	t.Helper()
	need(t, "npm", "npm")
	var versions []string
	for _, name := range published {
		out, err := exec.CommandContext(t.Context(), "npm", "view", name, "versions", "--json").Output()
		if err != nil {
			t.Skipf("npm's registry does not answer: %v", err)
		}
		var list []string
		require.NoError(t, json.Unmarshal(out, &list), name)
		versions = append(versions, list...)
	}
	return distinct(versions)
}

// npmSemver is the library that npm itself compares with.
func npmSemver(t *testing.T) string {
	t.Helper()
	need(t, "node", "nodejs")
	need(t, "npm", "npm")
	out, err := exec.CommandContext(t.Context(), "npm", "root", "-g").Output()
	require.NoError(t, err)
	for _, path := range []string{filepath.Join(strings.TrimSpace(string(out)), "npm/node_modules/semver"), "/usr/share/nodejs/semver"} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	t.Skip("npm's semver is not here: apt-get install node-semver")
	return ""
}

// grammar makes versions of one to five numbers and up to three words.
func grammar(random *rand.Rand, separators, words []string) string {
	one := func(from []string) string { return from[random.IntN(len(from))] }
	number := func() string {
		return [...]string{"0", "1", "2", fmt.Sprint(random.IntN(12)), fmt.Sprint(random.IntN(300)), fmt.Sprint(20200000 + random.IntN(70000))}[random.IntN(6)]
	}
	text := number()
	for range random.IntN(4) {
		text += "." + number()
	}
	for range random.IntN(4) - 1 {
		text += one(separators) + one(words)
		if random.IntN(2) == 0 {
			text += one(append(separators, "")) + number()
		}
	}
	return text
}

const grammarVersions = 20000

func fromMavenGrammar(_ *testing.T, random *rand.Rand) []string {
	words := []string{
		"alpha", "beta", "milestone", "rc", "cr", "SNAPSHOT", "Final", "GA", "RELEASE", "sp", "a", "b", "m", "jre", "android", "redhat", "jdk", "incubating",
		"pre", "RC", "Alpha", "M", "SP", "x", "v", "build",
	}
	versions := make([]string, grammarVersions)
	for i := range versions {
		versions[i] = grammar(random, []string{".", "-", ""}, words)
		switch random.IntN(12) {
		case 0:
			versions[i] = [...]string{"v", "r", "Hoxton.SR", "v2-rev", "Finchley."}[random.IntN(5)] + versions[i]
		case 1:
			versions[i] += [...]string{".Final-redhat-1", ".redhat-00002", "-redhat-00003", "_u12", ".v20230217", ".Final"}[random.IntN(6)]
		}
	}
	return distinct(versions)
}

func fromGemGrammar(_ *testing.T, random *rand.Rand) []string {
	versions := make([]string, grammarVersions)
	for i := range versions {
		versions[i] = grammar(random, []string{".", ""}, []string{"pre", "rc", "beta", "alpha", "a", "b", "dev", "java", "preview", "p", "RC", "x"})
	}
	return distinct(versions)
}
