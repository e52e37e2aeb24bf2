package catalog

import (
	"bytes"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// The states in which a package's files are not there (dpkg(1), "Package states"). In all others some or all are.
var notInstalled = map[string]bool{"not-installed": true, "config-files": true}

// dpkgStatus repairs a list of dpkg. Syft takes each package that shall be removed for removed, also one that still is
// installed; it gives up the whole list at one line that is no field; and it loses a last line without an end.
func (r *resolver) dpkgStatus(where string, raw []byte) []byte {
	list := dpkgList{}
	for line := range bytes.Lines(raw) {
		list.line(strings.TrimRight(string(line), "\r\n"))
	}
	list.endEntry()
	switch {
	case path.Base(where) != "status" && list.entries == 0:
		r.notes.note(where, "it is empty")
	case list.wrong > 0:
		r.notes.note(where, fmt.Sprintf("%d of its %d entries cannot be read", list.wrong, list.entries))
	case path.Base(where) == "status" && len(raw) > 0 && raw[len(raw)-1] != '\n':
		r.notes.note(where, "it ends in the middle of a line")
	case list.entries > 0 && list.installed == 0:
		r.notes.noteRemoved(where)
	}
	return list.out.Bytes()
}

// dpkgList is a list of dpkg that is being repaired, entry by entry.
type dpkgList struct {
	out                       bytes.Buffer
	entries, wrong, installed int
	entry                     dpkgEntry
}

// dpkgEntry is what was read of one entry.
type dpkgEntry struct {
	begun, name, version, foreign, removed bool
	// fields are those that were kept; dropping means that the lines of the last one go with it.
	fields   map[string]bool
	dropping bool
}

func (l *dpkgList) line(line string) {
	if strings.TrimSpace(line) == "" {
		l.endEntry()
		return
	}
	l.entry.begun = true
	if line[0] == ' ' || line[0] == '\t' {
		l.entry.foreign = l.entry.foreign || l.entry.fields == nil
		if l.entry.fields != nil && !l.entry.dropping {
			l.out.WriteString(" " + line[1:] + "\n")
		}
		return
	}
	key, value, isField := strings.Cut(line, ":")
	value = strings.TrimSpace(value)
	if !isField || key == "" || strings.ContainsAny(key, " \t\x00") || l.entry.fields[key] {
		l.entry.foreign, l.entry.dropping = true, true
		return
	}
	if l.entry.fields == nil {
		l.entry.fields = map[string]bool{}
	}
	l.entry.fields[key], l.entry.dropping = true, false
	switch key {
	case "Package":
		l.entry.name = value != ""
	case "Version":
		l.entry.version = value != ""
	case "Installed-Size":
		if _, err := strconv.Atoi(value); err != nil {
			l.entry.dropping = true
			return
		}
	case "Status":
		words := strings.Fields(value)
		l.entry.removed = len(words) > 0 && notInstalled[words[len(words)-1]]
		if l.entry.removed {
			line = "Status: deinstall ok config-files"
		} else {
			line = "Status: install ok installed"
		}
	}
	l.out.WriteString(line + "\n")
}

func (l *dpkgList) endEntry() {
	if !l.entry.begun {
		return
	}
	l.out.WriteByte('\n')
	l.entries++
	switch {
	case l.entry.foreign, !l.entry.name, !l.entry.removed && !l.entry.version:
		l.wrong++
	case !l.entry.removed:
		l.installed++
	}
	l.entry = dpkgEntry{}
}
