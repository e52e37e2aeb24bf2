package feed

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/perceptor/perceptor/model"
)

const (
	// maxChanges bounds the records that a list of changes names; all of OSV has less than a million.
	maxChanges = 4_000_000
	// maxChangeLine bounds one line of it: a time and an id.
	maxChangeLine = 512
)

// ParseChanges reads modified_id.csv: a line for each record, with the time of its last change and its id, in any order. Of
// several lines for one id the latest time counts. A line that cannot be understood spoils the list, since it may be about
// any record. So does a list without a record: it would mean that all are gone.
func ParseChanges(text []byte) (map[string]time.Time, error) {
	changes := map[string]time.Time{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(make([]byte, 0, maxChangeLine), maxChangeLine)
	line := 0
	for lines.Scan() {
		line++
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		at, id, problem := readChange(lines.Text())
		if problem != "" {
			return nil, &Error{Class: model.Invalid, Problem: fmt.Sprintf("list of changes: line %d: %s", line, problem)}
		}
		if at.After(changes[id]) || changes[id].IsZero() {
			changes[id] = at
		}
		if len(changes) > maxChanges {
			return nil, &Error{Class: model.Invalid, Problem: fmt.Sprintf("list of changes: names more than %d records", maxChanges)}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, &Error{Class: model.Invalid, Problem: fmt.Sprintf("list of changes: line %d", line+1), Err: err}
	}
	if len(changes) == 0 {
		return nil, &Error{Class: model.Invalid, Problem: "list of changes: names no record"}
	}
	return changes, nil
}

func readChange(line string) (at time.Time, id, problem string) {
	text, id, found := strings.Cut(strings.TrimSpace(line), ",")
	if !found {
		return at, "", "has no comma"
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, "", fmt.Sprintf("%.40q is not a time such as 2024-05-31T12:00:00Z", text)
	}
	id = id[strings.LastIndexByte(id, '/')+1:] // the list of all ecosystems has the ecosystem before it
	if id == "" || len(id) > maxID || strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`,\?#%"'<>`, c) }) ||
		strings.Trim(id, ".") == "" {
		return at, "", fmt.Sprintf("%.40q is no id of a record", id)
	}
	return at.UTC(), id, ""
}

// maxID bounds ids, as package osv does.
const maxID = 128

// Error says what is wrong with what a source sent.
type Error struct {
	Class   model.FailureClass
	Problem string
	Err     error
}

// Error is "problem: cause".
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Problem
	}
	return e.Problem + ": " + e.Err.Error()
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// FailureClass says whether waiting can help.
func (e *Error) FailureClass() model.FailureClass { return e.Class }

// Difference is what must be fetched or forgotten, so that what is held is what the source has.
type Difference struct {
	// Changed records are newer there than here, or not here at all; Gone are here and not there.
	Changed []string
	Gone    []string
}

// ErrTooDifferent says that the whole archive is the cheaper or the safer way.
var ErrTooDifferent = errors.New("too much has changed")

// mostSingle is how many records are fetched one by one at most. Each is a request, so above it the archive is faster.
const mostSingle = 1000

// Compare finds the difference between the list of changes of the source and what is held. Times are compared to the second,
// as they are kept. ErrTooDifferent also stands for a list that lacks a tenth of what is held: that is no usual day.
func Compare(listed, held map[string]time.Time) (Difference, error) {
	var d Difference
	for id, at := range listed {
		has, here := held[id]
		if !here || at.Truncate(time.Second).After(has) {
			d.Changed = append(d.Changed, id)
		}
	}
	for id := range held {
		if _, there := listed[id]; !there {
			d.Gone = append(d.Gone, id)
		}
	}
	if len(d.Changed) > mostSingle || len(d.Gone) > mostSingle && len(d.Gone) > len(held)/10 {
		return Difference{}, ErrTooDifferent
	}
	return d, nil
}
