package catalog

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf16"
)

// packageJSON repairs a package.json: Syft reads UTF-8 without a mark, and gives up the file at one field of another type
// than it expects. Fields besides name and version that do not fit are left out.
func (r *resolver) packageJSON(where string, raw []byte) []byte {
	text, converted := toUTF8(raw)
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		if isPackageRoot(where) {
			r.notes.note(where, "it is no JSON object: "+err.Error())
		}
		return text
	}
	changed := converted
	for key, value := range fields {
		fits := fieldsRead[strings.ToLower(key)]
		if fits == nil || fits(value) {
			continue
		}
		changed = true
		delete(fields, key)
		if key != "name" && key != "version" {
			continue
		}
		if number := json.Number(""); key == "version" && json.Unmarshal(value, &number) == nil && number != "" {
			fields[key], _ = json.Marshal(number.String()) // a string can always be written
			continue
		}
		if isPackageRoot(where) {
			r.notes.note(where, fmt.Sprintf("its %s is no text", key))
		}
	}
	if isInstalled(where) {
		if _, named := fields["name"]; !named {
			r.notes.note(where, "it has no name")
		}
	}
	if !changed {
		return text
	}
	repaired, err := json.Marshal(fields)
	if err != nil {
		return text
	}
	return repaired
}

// toUTF8 takes byte order marks off and turns UTF-16 into UTF-8, also UTF-16 without a mark, in which every second byte of
// a document's first characters is zero.
func toUTF8(raw []byte) (text []byte, converted bool) {
	switch {
	case bytes.HasPrefix(raw, []byte{0xef, 0xbb, 0xbf}):
		return raw[3:], true
	case bytes.HasPrefix(raw, []byte{0xff, 0xfe}):
		return fromUTF16(raw[2:], binary.LittleEndian), true
	case bytes.HasPrefix(raw, []byte{0xfe, 0xff}):
		return fromUTF16(raw[2:], binary.BigEndian), true
	case len(raw) >= 4 && raw[0] != 0 && raw[1] == 0 && raw[3] == 0:
		return fromUTF16(raw, binary.LittleEndian), true
	case len(raw) >= 4 && raw[0] == 0 && raw[1] != 0 && raw[2] == 0:
		return fromUTF16(raw, binary.BigEndian), true
	}
	return raw, false
}

func fromUTF16(raw []byte, order binary.ByteOrder) []byte {
	units := make([]uint16, 0, len(raw)/2)
	for ; len(raw) >= 2; raw = raw[2:] {
		units = append(units, order.Uint16(raw))
	}
	return []byte(string(utf16.Decode(units)))
}

// fieldsRead are the fields that Syft reads, and whether a value fits what it expects.
var fieldsRead = map[string]func(json.RawMessage) bool{
	"name": is[string], "version": is[string], "homepage": is[string], "description": is[string], "private": is[bool],
	"latest": is[[]string], "dependencies": is[map[string]string], "devdependencies": is[map[string]string],
	"repository": isRepository, "author": isPerson, "authors": isPeople, "contributors": isPeople, "maintainers": isPeople,
}

func is[T any](value json.RawMessage) bool {
	var into T
	return json.Unmarshal(value, &into) == nil
}

func isRepository(value json.RawMessage) bool {
	return is[string](value) || is[map[string]string](value)
}

func isPerson(value json.RawMessage) bool {
	if is[string](value) {
		return true
	}
	var fields map[string]any
	if json.Unmarshal(value, &fields) != nil {
		return false
	}
	for _, key := range []string{"name", "email", "url"} {
		if _, isText := fields[key].(string); fields[key] != nil && !isText {
			return false
		}
	}
	return true
}

func isPeople(value json.RawMessage) bool {
	var all []json.RawMessage
	if json.Unmarshal(value, &all) != nil {
		return isPerson(value)
	}
	for _, each := range all {
		if !isPerson(each) {
			return false
		}
	}
	return true
}

// isInstalled reports whether a package.json stands where a package manager puts the one of a package:
// node_modules/name or node_modules/@scope/name.
func isInstalled(where string) bool {
	parts := strings.Split(strings.TrimSuffix(where, "/package.json"), "/")
	last := len(parts) - 1
	if strings.HasPrefix(parts[last], ".") {
		return false
	}
	return last >= 1 && parts[last-1] == "node_modules" && !strings.HasPrefix(parts[last], "@") ||
		last >= 2 && parts[last-2] == "node_modules" && strings.HasPrefix(parts[last-1], "@")
}

// isPackageRoot reports whether a package.json describes a package: an installed one, or one of the owner's. Deeper inside
// installed packages they mark folders, or are the broken examples of a test.
func isPackageRoot(where string) bool {
	return isInstalled(where) || !strings.Contains(where, "/node_modules/")
}
