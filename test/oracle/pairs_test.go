//go:build oracle

package oracle_test

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// wanted is how many pairs are made of each ecosystem. Not all count: tool or hub may refuse a version.
const wanted = 10000

// makePairs makes pairs of versions: neighbours as they were published, near misses, versions that may be equal, equal ones, and
// some that have nothing to do with each other. Words are what the ecosystem puts into versions.
func makePairs(random *rand.Rand, versions, words []string) []pair {
	pairs := make([]pair, 0, wanted)
	for len(pairs) < wanted {
		at := random.IntN(len(versions))
		v := versions[at]
		switch kind := random.IntN(10); {
		case kind < 2 && at+1 < len(versions):
			pairs = append(pairs, pair{v, versions[at+1]})
		case kind < 7:
			near := v
			for range 1 + random.IntN(2) {
				near = mutated(random, near, words)
			}
			pairs = append(pairs, pair{v, near})
		case kind == 7:
			pairs = append(pairs, pair{v, v})
		case kind == 8:
			// Two near misses of one version are often nearer to each other than to it.
			pairs = append(pairs, pair{mutated(random, v, words), mutated(random, v, words)})
		default:
			pairs = append(pairs, pair{v, versions[random.IntN(len(versions))]})
		}
	}
	return pairs
}

var digits = regexp.MustCompile(`\d+`)

// mutated is a version that differs from another in one place. It is never empty, and holds neither blanks nor controls.
func mutated(random *rand.Rand, v string, words []string) string {
	numbers := digits.FindAllStringIndex(v, -1)
	replaced := func(at []int, text string) string { return v[:at[0]] + text + v[at[1]:] }
	one := []int{0, 0}
	if len(numbers) > 0 {
		one = numbers[random.IntN(len(numbers))]
	}
	out := v
	switch random.IntN(9) {
	case 0, 1: // a number one higher or lower
		if n, err := strconv.Atoi(v[one[0]:one[1]]); err == nil {
			out = replaced(one, strconv.Itoa(max(0, n+1-2*random.IntN(2))))
		}
	case 2: // a leading zero
		out = replaced(one, "0"+v[one[0]:one[1]])
	case 3: // without its last part
		if at := strings.LastIndexAny(v, ".-+~_:!"); at > 0 {
			out = v[:at]
		}
	case 4, 5: // with one more part
		out = v + words[random.IntN(len(words))]
	case 6: // with one more part inside
		at := random.IntN(len(v) + 1)
		out = v[:at] + words[random.IntN(len(words))] + v[at:]
	case 7: // without one byte
		at := random.IntN(len(v))
		out = v[:at] + v[at+1:]
	case 8: // a number that no machine word holds
		out = replaced(one, v[one[0]:one[1]]+strings.Repeat("9", 20))
	}
	if out == "" {
		return v
	}
	return out
}

// distinct are the versions, each once, in the order in which they came.
func distinct(versions []string) []string {
	known := map[string]bool{}
	return slices.DeleteFunc(versions, func(v string) bool {
		defer func() { known[v] = true }()
		return v == "" || known[v] || strings.ContainsAny(v, " \t\r\n")
	})
}
