package catalog

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/anchore/syft/syft/file"
)

const (
	apkInstalled = "/lib/apk/db/installed"
	apkWorld     = "/etc/apk/world"
)

// findShortLists notes lists of apk that lack packages which others in them need, or which the owner has asked for. apk itself
// keeps them whole, so such a list was cut off, even where that is at the end of an entry.
func findShortLists(files file.Resolver, unread map[string]string) error {
	found, err := files.FilesByGlob(databases["apk-db-cataloger"]...)
	if err != nil {
		return fmt.Errorf("look for lists of apk: %w", err)
	}
	for _, location := range found {
		where := location.RealPath
		if unread[where] != "" {
			continue
		}
		raw, err := readWhole(files, location)
		if err != nil {
			return err
		}
		list := readAPK(raw)
		worlds, err := files.FilesByPath(strings.TrimSuffix(where, apkInstalled) + apkWorld)
		if err != nil {
			return fmt.Errorf("look for what apk was asked for: %w", err)
		}
		for _, world := range worlds {
			asked, err := readWhole(files, world)
			if err != nil {
				return err
			}
			list.need(strings.Fields(string(asked)))
		}
		if missing := list.missing(); len(missing) > 0 {
			unread[where] = fmt.Sprintf("it lacks %d packages that others in it or %s need, such as %.100s", len(missing), apkWorld, missing[0])
		}
	}
	return nil
}

// apkPackages is what a list of apk says that there is, and that there must be.
type apkPackages struct{ has, needs map[string]bool }

// need takes dependencies as apk writes them: a name, perhaps with a version or the tag of a repository. One with a mark in
// front must not be there.
func (l *apkPackages) need(dependencies []string) {
	for _, each := range dependencies {
		if name := apkName(each); name != "" && !strings.HasPrefix(each, "!") {
			l.needs[name] = true
		}
	}
}

// apkName is a dependency's or provision's name without its version.
func apkName(text string) string {
	if at := strings.IndexAny(text, "<>=~@"); at >= 0 {
		return text[:at]
	}
	return text
}

// missing are the names that must be there and are not, sorted.
func (l *apkPackages) missing() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(l.needs)), func(name string) bool { return l.has[name] })
}

// readAPK reads the fields that matter: P is a package's name, p what it provides, D what it needs, F a folder and R a file in
// it. A file counts where a package needs it by its path.
func readAPK(raw []byte) *apkPackages {
	list := &apkPackages{has: map[string]bool{}, needs: map[string]bool{}}
	folder := ""
	for line := range bytes.Lines(raw) {
		key, value, _ := strings.Cut(strings.TrimRight(string(line), "\r\n"), ":")
		switch key {
		case "P":
			list.has[value] = true
		case "p":
			for each := range strings.FieldsSeq(value) {
				list.has[apkName(each)] = true
			}
		case "D":
			list.need(strings.Fields(value))
		case "F":
			folder = value
		case "R":
			list.has[path.Join("/", folder, value)] = true
		}
	}
	return list
}
