package jobs

import (
	"strings"
	"unicode/utf8"
)

// MaxName bounds names of projects, versions and scans, in bytes. A repository has at most 255, so this leaves room.
const MaxName = 512

// CheckName refuses names that cannot be kept or shown.
func CheckName(field, name string) error {
	switch {
	case name == "":
		return refuse(Invalid, "name", "%s is missing", field)
	case len(name) > MaxName:
		return refuse(Invalid, "name", "%s has %d bytes; %d is the most", field, len(name), MaxName)
	case strings.ContainsRune(name, 0) || !utf8.ValidString(name):
		return refuse(Invalid, "name", "%s is not plain UTF-8 text", field)
	}
	return nil
}
