//go:build oracle

package oracle_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// enough is how many pairs must have been compared for an ecosystem to count.
const enough = 5000

// ecosystem is one order of versions and who knows it.
type ecosystem struct {
	subject
	// versions are real ones, or made by a grammar; it skips the test where it finds none.
	versions func(t *testing.T, random *rand.Rand) []string
	// words are what may stand in versions besides numbers.
	words  []string
	native func(t *testing.T) native
}

var ecosystems = []ecosystem{
	{
		subject{"pkg:deb/debian/x?distro=debian-12", "Debian:12", "x"},
		fromAPT,
		[]string{"~", "~~", "+", "-1", "-0", "-0.1", ".0", "~rc1", "+b1", "+deb12u1", "-1ubuntu2", "~bpo12+1", "a", "Z", ".", "0", "1:", "0:", "+dfsg"},
		func(*testing.T) native { return program("sh", script("order.sh")) },
	},
	{
		subject{"pkg:rpm/almalinux/x?distro=almalinux-9", "AlmaLinux:9", "x"},
		fromRecords("AlmaLinux"),
		[]string{"~", "^", "~rc1", "^git1", ".", "-1", "-1.el9", ".0", "a", "Z", "_", "+1", "0", "1:", "0:", "..", ".el9_4"},
		func(t *testing.T) native { need(t, "rpm", "rpm"); return program("rpm", "--eval", lua(t, "order.lua")) },
	},
	{
		subject{"pkg:pypi/x", "PyPI", "x"},
		fromRecords("PyPI"),
		[]string{"a1", "b2", "rc1", "c1", ".dev1", ".post1", "-1", "+local.1", "+1", ".0", "alpha", "-beta.2", "_rc_3", "preview1", "rev2", "r3", "v", "1!", ".", "0", ".dev", "post"},
		func(t *testing.T) native {
			need(t, "/usr/lib/python3/dist-packages/packaging", "python3-packaging")
			return program("/usr/bin/python3", script("order.py"))
		},
	},
	{
		subject{"pkg:golang/example.com/x", "Go", "example.com/x"},
		fromRecords("Go"),
		[]string{"-rc.1", "-0", "-alpha", "-0.20230101000000-abcdef012345", "+incompatible", ".0", "-a.b", "-1", ".", "-rc.1.2", "0", "-", "+meta"},
		func(*testing.T) native { return goModules },
	},
	{
		subject{"pkg:npm/x", "npm", "x"},
		fromNPM,
		[]string{"-rc.1", "-0", "-alpha", "-alpha.beta", "+build", "+build.2", ".0", "-1", ".", "-rc.1.2", "0", "-", "-x-y-z", "v", "-01a"},
		func(t *testing.T) native { return program("node", script("order.js"), npmSemver(t)) },
	},
	{
		subject{"pkg:maven/g/x", "Maven", "g:x"},
		fromMavenGrammar,
		[]string{"-SNAPSHOT", "-alpha-1", "-beta2", "-rc1", ".Final", "-GA", ".RELEASE", "-sp-1", "-jre", "-a", "b1", "m3", ".0", "-0", "-1", ".", "-", "0", "x", "_1", "+1", "cr2"},
		func(t *testing.T) native {
			jar := need(t, "/usr/share/java/maven-artifact-3.x.jar", "libmaven3-core-java")
			need(t, "javac", "default-jdk-headless")
			return program("java", "-cp", jar, script("Order.java"))
		},
	},
	{
		subject{"pkg:gem/x", "RubyGems", "x"},
		fromGemGrammar,
		[]string{".pre", ".rc1", ".beta.2", ".a", ".0", "-1", "a", ".1", ".0.0", "0", "b3", ".pre1", ".x86"},
		func(t *testing.T) native { need(t, "ruby", "ruby"); return program("ruby", script("order.rb")) },
	},
}

// seed makes the pairs: the same for every run, unless ORACLE_SEED names another.
func seed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("ORACLE_SEED")
	if text == "" {
		return 1
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, "ORACLE_SEED")
	return n
}

func TestOrderOfVersions(t *testing.T) {
	var counted, pairs, unexplained int
	for i := range ecosystems {
		e := &ecosystems[i]
		t.Run(e.ecosystem, func(t *testing.T) {
			result := e.compare(t)
			t.Log(result)
			counted++
			pairs += result.compared
			unexplained += len(result.unexplained)
			for _, each := range result.unexplained {
				t.Error(each)
			}
			for _, each := range differences {
				require.True(t, each.ecosystem != e.ecosystem || result.explained[each.reason] > 0, "this difference occurs no longer, delete it: %s", each.reason)
			}
			require.GreaterOrEqual(t, result.compared, enough, "too few pairs that both could read")
		})
	}
	line := fmt.Sprintf("oracle: %d ecosystems, %d pairs, %d unexplained\n", counted, pairs, unexplained)
	if path := os.Getenv("ORACLE_RESULT"); path != "" {
		require.NoError(t, os.WriteFile(path, []byte(line), 0o600))
	}
	t.Log(line)
	require.NotZero(t, counted, "not one ecosystem could be compared")
}

// comparison is what came out for one ecosystem.
type comparison struct {
	// compared pairs were read by both, natively refused ones not by the tool; oursRefused were read by the tool alone.
	compared, nativeRefused, oursRefused int
	explained                            map[string]int
	unexplained                          []string
}

func (c comparison) String() string {
	return fmt.Sprintf("%d pairs compared; not read by the tool: %d, by the hub alone (so not assessed): %d; explained: %v; unexplained: %d",
		c.compared, c.nativeRefused, c.oursRefused, c.explained, len(c.unexplained))
}

func (e *ecosystem) compare(t *testing.T) comparison {
	t.Helper()
	random := rand.New(rand.NewPCG(seed(t), 0))
	ask := e.native(t)
	pairs := makePairs(random, e.versions(t, random), e.words)
	var both []pair
	for _, p := range pairs {
		both = append(both, p, p.turned())
	}
	answers := ask(t, both)
	result := comparison{explained: map[string]int{}}
	for i := 0; i < len(both); i += 2 {
		e.judge(t, &result, both[i], answers[i], answers[i+1])
	}
	return result
}

// judge compares one pair, both ways.
func (e *ecosystem) judge(t *testing.T, result *comparison, p pair, there, back byte) {
	t.Helper()
	ours, oursBack := e.order(t, p.a, p.b), e.order(t, p.b, p.a)
	switch {
	case there == refused || back == refused:
		result.nativeRefused++
		return
	case ours == refused || oursBack == refused:
		result.oursRefused++
		return
	}
	result.compared++
	if ours == there && oursBack == back {
		return
	}
	if reason := e.reason(p); reason != "" {
		result.explained[reason]++
		return
	}
	result.unexplained = append(result.unexplained, fmt.Sprintf("%s: %q %c %q for the tool, %c for the hub; turned %c and %c", e.ecosystem, p.a, there, p.b, ours, back, oursBack))
}
