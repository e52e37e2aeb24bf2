//go:build oracle

package oracle_test

import "regexp"

// difference is a kind of pair that the hub orders otherwise than the tool, on purpose.
type difference struct {
	ecosystem, reason string
	is                func(p pair) bool
}

var modular = regexp.MustCompile(`\.module[+_]`)

// differences are all that are explained. One that never occurs fails the test, so that the list stays true.
var differences = []difference{
	{
		"AlmaLinux:9",
		"a package of an RPM module is never compared with one that is of none: the hub judges them apart, and rpm only sees the texts",
		func(p pair) bool { return modular.MatchString(p.a) != modular.MatchString(p.b) },
	},
}

// reason says why the hub may differ from the tool; empty when it may not.
func (e *ecosystem) reason(p pair) string {
	for _, each := range differences {
		if each.ecosystem == e.ecosystem && each.is(p) {
			return each.reason
		}
	}
	return ""
}
