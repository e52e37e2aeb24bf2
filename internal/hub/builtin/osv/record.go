package osv

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/osv-scalibr/semantic"

	"github.com/perceptor/perceptor/model"
)

// Record is one OSV record reduced to what judging needs. Its JSON is the compact form for storing, not OSV's: read OSV's
// with Parse. A Record is not changed after it was read, so it may be used from several goroutines.
type Record struct {
	ID string `json:"id"`
	// Aliases are other ids of the same vulnerability.
	Aliases []string `json:"al,omitempty"`
	// Upstream are the vulnerabilities this advisory is about, when it is not one itself.
	Upstream []string `json:"up,omitempty"`
	// Summary is the database's title in one line, cut to some 300 bytes; many have none.
	Summary string `json:"su,omitempty"`
	// Severity and Score (0 to 10, 0 when only a word is known) hold for every package that has none of its own.
	Severity  model.Severity `json:"sv,omitempty"`
	Score     float64        `json:"sc,omitempty"`
	Published time.Time      `json:"pu,omitzero"`
	Modified  time.Time      `json:"mo,omitzero"`
	// Withdrawn records never match.
	Withdrawn bool `json:"wd,omitempty"`
	// Affected has only packages of ecosystems that are judged.
	Affected []Affected `json:"af,omitempty"`
	// Problems name what was odd in the published form. They are for the report of a load, and are not stored.
	Problems []string `json:"-"`
}

// Affected says which versions of one package a record is about.
type Affected struct {
	Key
	Ranges []Range `json:"r,omitempty"`
	// Versions are affected versions that no range covers.
	Versions []string `json:"v,omitempty"`
	// Severity and Score are this package's own; empty when the record's hold.
	Severity model.Severity `json:"sv,omitempty"`
	Score    float64        `json:"sc,omitempty"`
	// Module is the RPM module whose packages are meant, such as "nodejs:20"; "*" when the record does not say which.
	Module string `json:"m,omitempty"`
	// Unclear says what of the published form could not be understood. The package then is not assessed, also where the
	// rest of the record does not touch it.
	Unclear string `json:"x,omitempty"`
}

// Range is one line of versions, its events in the order of their versions.
type Range struct {
	Events []Event `json:"e"`
}

// EventKind says what happens at a version.
type EventKind byte

// The kinds of events, as the OSV schema has them.
const (
	Introduced   EventKind = 'i'
	Fixed        EventKind = 'f'
	LastAffected EventKind = 'l'
	Limit        EventKind = 'm'
)

// Event is one switch in a range.
type Event struct {
	Kind    EventKind
	Version string
	// order is Version parsed; nil for "introduced 0" and "limit *", which need no comparison.
	order semantic.Version
	// bare says that the version has no epoch in an ecosystem whose records may leave it out.
	bare bool
}

// MarshalText is the kind's letter, a colon and the version, such as "f:0.3.7".
func (e Event) MarshalText() ([]byte, error) {
	return []byte(string(rune(e.Kind)) + ":" + e.Version), nil
}

// UnmarshalText reads what MarshalText wrote.
func (e *Event) UnmarshalText(text []byte) error {
	kind, version, found := strings.Cut(string(text), ":")
	if !found || len(kind) != 1 || !strings.Contains("iflm", kind) || version == "" {
		return invalid("event", fmt.Sprintf("%.60q is not a kind and a version", text))
	}
	e.Kind, e.Version = EventKind(kind[0]), version
	return nil
}

// UnmarshalJSON reads the compact form that storing wrote.
func (r *Record) UnmarshalJSON(data []byte) error {
	type plain Record
	var read plain
	if err := json.Unmarshal(data, &read); err != nil {
		return &Error{Class: model.Invalid, Where: "stored record", Problem: "not readable", Err: err}
	}
	*r = Record(read)
	for i := range r.Affected {
		if err := r.Affected[i].prepare(); err != nil {
			return &Error{Class: model.Invalid, Where: "stored record " + r.ID, Problem: "not readable", Err: err}
		}
	}
	return nil
}

// Only is the record with the one package it is filed under: much smaller where an advisory names hundreds of them.
func (r Record) Only(key Key) Record {
	only := r
	only.Affected = nil
	for _, affected := range r.Affected {
		if affected.Key == key {
			only.Affected = append(only.Affected, affected)
		}
	}
	return only
}

// KeysOf lists every package the record is about, each once, in the record's order.
func KeysOf(r Record) []Key {
	keys := make([]Key, 0, len(r.Affected))
	for _, affected := range r.Affected {
		if !slices.Contains(keys, affected.Key) {
			keys = append(keys, affected.Key)
		}
	}
	return keys
}

// prepare parses the versions of every event once and brings the events into the order of their versions.
func (a *Affected) prepare() error {
	for i := range a.Ranges {
		for j := range a.Ranges[i].Events {
			if problem := a.Ranges[i].Events[j].prepare(a.Ecosystem); problem != "" {
				return fmt.Errorf("ranges[%d]: events[%d]: %s", i, j, problem)
			}
		}
		a.Ranges[i].sort()
	}
	return nil
}

// prepare parses the version, and says what is wrong with it; empty when nothing is.
func (e *Event) prepare(ecosystem string) string {
	if e.always() {
		return ""
	}
	order, err := parseVersion(ecosystem, e.Version)
	if err != nil {
		return problemOf(err)
	}
	e.order = order
	if ecosystems[Base(ecosystem)].lenientEpoch {
		_, has := withoutEpoch(e.Version)
		e.bare = !has
	}
	return ""
}

// sort orders the events by version. Those at the same version keep the order they were published in: "fixed 2, introduced
// 2" stays affected from 2 on.
func (r *Range) sort() {
	slices.SortStableFunc(r.Events, func(a, b Event) int { return a.compare(b) })
}

// always reports whether the event stands before or after every version.
func (e Event) always() bool {
	return e.Kind == Introduced && (e.Version == "0" || e.Version == "0:0" || e.Version == "0:0-0") || e.Kind == Limit && e.Version == "*"
}

// compare orders events by version: "introduced 0" before all, limits after all, since they only bound the range.
func (e Event) compare(f Event) int {
	rank := func(e Event) int {
		switch {
		case e.Kind == Limit:
			return 1
		case e.always():
			return -1
		}
		return 0
	}
	if d := rank(e) - rank(f); d != 0 || rank(e) != 0 {
		return d
	}
	return compareVersions(e.order, f.order)
}
