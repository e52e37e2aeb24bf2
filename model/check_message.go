package model

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// The bounds of what workflows send each other, in bytes where they are lengths. Real hubs, registries and clusters stay far below.
const (
	// HubLength is that of the configured name of a hub, which becomes a part of queue names. The configuration allows 63.
	HubLength = 100
	// DomainLength is that of a set of scanners, which becomes a part of queue names.
	DomainLength = 100
	// ChainLength is that of a first run ID. The server's have 36 characters.
	ChainLength = 100
	// PersonLength is that of the name of a person who refers to an image.
	PersonLength = 253
	// ReasonLength is that of a text for a person, such as why a scan failed.
	ReasonLength = 8 << 10
	// URLLength is that of a link to a hub.
	URLLength = 4 << 10
	// NamesAtMost, HubsAtMost and DataAtMost bound the names of an image, the hubs of an installation, and the ecosystems of a
	// verdict.
	NamesAtMost = 50
	HubsAtMost  = 100
	DataAtMost  = 1000
	// countAtMost bounds every number of things, so that sums of them do not overflow.
	countAtMost = 1_000_000_000
)

// ClockAhead is how far in the future a time in a message may be. What is later would silence everything that comes after it.
// A day is more than clocks are wrong by in practice.
const ClockAhead = 24 * time.Hour

// longestPromise is how far in the future an end or a next try may be: references last 30 days at most.
const longestPromise = 400 * 24 * time.Hour

// Rejections counts the messages to a workflow that failed their checks and were dropped, and says why the last one did.
type Rejections struct {
	Count int       `json:"count"`
	Last  string    `json:"last,omitempty"`
	At    time.Time `json:"at,omitzero"`
}

// rejectionLength bounds what is kept of a reason.
const rejectionLength = 300

// Note counts one more. What names the kind of message.
func (r *Rejections) Note(now time.Time, what string, why error) {
	r.Count++
	r.Last, r.At = Clip(what+": "+strings.ReplaceAll(why.Error(), "\n", "; "), rejectionLength), now
}

// Text is a sentence for a page in Web UI and for lists; empty when nothing was dropped.
func (r Rejections) Text() string {
	if r.Count == 0 {
		return ""
	}
	return fmt.Sprintf("%d messages failed their checks and were dropped; the last at %s: %s", r.Count, r.At.UTC().Format(time.RFC3339), r.Last)
}

// Clip cuts a text to so many bytes, between two characters.
func Clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}

// CheckHub says what is wrong with the name of a hub.
func CheckHub(name string) error { return CheckName("hub", name, HubLength) }

// CheckDomain says what is wrong with the name of a set of scanners. An empty one stands for the default.
func CheckDomain(name string) error {
	if name == "" {
		return nil
	}
	return CheckName("domain", name, DomainLength)
}

// CheckChain says what is wrong with a first run ID.
func CheckChain(chain string) error { return CheckName("chain", chain, ChainLength) }

// CheckCount says what is wrong with a number of things.
func CheckCount(what string, n int) error {
	if n < 0 || n > countAtMost {
		return fmt.Errorf("%s is %d; want 0 to %d", what, n, countAtMost)
	}
	return nil
}

// CheckSize says what is wrong with the size of a list.
func CheckSize(what string, n, most int) error {
	if n > most {
		return fmt.Errorf("%d %s; at most %d are possible", n, what, most)
	}
	return nil
}

// CheckText bounds a text for a person, which may have several lines.
func CheckText(what, text string, longest int) error {
	if len(text) > longest {
		return fmt.Errorf("%s has %d characters; at most %d are possible", what, len(text), longest)
	}
	return nil
}

// CheckTime says what is wrong with the time of something that has happened; zero is no time and allowed.
func CheckTime(what string, at, now time.Time) error { return checkTime(what, at, now.Add(ClockAhead)) }

func checkTime(what string, at, latest time.Time) error {
	switch {
	case at.IsZero():
		return nil
	case at.UTC().Year() < 1:
		return fmt.Errorf("%s is before the year 1", what)
	case at.After(latest):
		return fmt.Errorf("%s is %s, which is too far in the future", what, at.UTC().Format(time.RFC3339))
	}
	return nil
}

// lostLength bounds the address of a verdict that a hub has lost.
const lostLength = 2048

// Check says what is wrong with a digest: it needs its "sha256:" in front.
func (d Digest) Check() error {
	parsed, err := ParseDigest(string(d))
	if err == nil && parsed != d {
		err = fmt.Errorf("digest %.80q: want %q in front", d, DigestPrefix)
	}
	return err
}

// Check says what is wrong with a priority. An empty one is the least urgent.
func (p Priority) Check() error {
	if p != "" && !slices.Contains(priorities, p) {
		return fmt.Errorf("priority %.40q: want interactive, pod, image or background", p)
	}
	return nil
}

// Check says what is wrong with a version. One of the future would silence every later one.
func (v Version) Check(now time.Time) error {
	if v.Epoch < 0 || v.Counter < 0 {
		return errors.New("the version is negative")
	}
	if v.Epoch > now.Add(ClockAhead).UnixNano() {
		return errors.New("the version is too far in the future")
	}
	return nil
}

// attemptsAtMost bounds the counter of an attempt ID: it grows by one for each grant of a millisecond.
const attemptsAtMost = 1 << 40

// Check says what is wrong with the ID of an attempt. One of the future would make every later one old.
func (a AttemptID) Check(now time.Time) error {
	if a.Millis < 0 || a.Millis > now.Add(ClockAhead).UnixMilli() {
		return fmt.Errorf("attempt %s: its time is impossible", a)
	}
	if a.Counter < 0 || a.Counter > attemptsAtMost {
		return fmt.Errorf("attempt %s: its counter is impossible", a)
	}
	return nil
}

// Check says what is wrong with a platform.
func (p Platform) Check() error { return checkText("platform", p.String(), PodNameLength) }

// Check says what is wrong with a name to pull an image by.
func (n Name) Check() error {
	var engine error
	if n.Engine != "" {
		engine = CheckName("engine", n.Engine, EngineLength)
	}
	return errors.Join(checkReference(n.Reference()), checkText("credential", n.Credential, PodNameLength), engine)
}

// Check says what is wrong with the names of an image at a hub.
func (n HubNames) Check() error {
	return errors.Join(
		checkText("project at the hub", n.Project, HubNameLength),
		checkText("version at the hub", n.Version, HubNameLength),
		checkText("scan at the hub", n.Scan, HubNameLength))
}

// CheckReferrer says what is wrong with the "cluster/namespace" of an inventory, which becomes a part of IDs.
func CheckReferrer(id string) error {
	cluster, namespace, found := strings.Cut(id, "/")
	if !found {
		return fmt.Errorf("referrer %.80q: want <cluster>/<namespace>", id)
	}
	return errors.Join(CheckCluster(cluster), CheckNamespace(namespace))
}

// Check says what is wrong with a reference to an image.
func (r Reference) Check(now time.Time) error {
	var who error
	switch r.Kind {
	case ReferenceInventory:
		who = CheckReferrer(r.ID)
	case ReferencePerson:
		if r.ID == "" {
			who = errors.New("a reference without an ID")
		} else {
			who = checkText("ID of a reference", r.ID, PersonLength)
		}
	default:
		who = fmt.Errorf("kind of reference %.40q: want inventory or person", r.Kind)
	}
	return errors.Join(who, r.Version.Check(now), checkTime("end of a reference", r.Until, now.Add(longestPromise)))
}

// Check says what is wrong with an observation; nil means that it can be accepted.
func (o Observation) Check(now time.Time) error {
	if len(o.Names) == 0 {
		return errors.New("at least one name is needed to pull the image by")
	}
	if err := CheckSize("names", len(o.Names), NamesAtMost); err != nil {
		return err
	}
	for _, n := range o.Names {
		if err := n.Check(); err != nil {
			return err
		}
	}
	if o.HubNames != nil {
		if err := o.HubNames.Check(); err != nil {
			return err
		}
	}
	return errors.Join(o.Platform.Check(), o.Reference.Check(now), o.Priority.Check(), checkNamespaceOf(o.Namespace), CheckDomain(o.Domain), o.Known.Check(now))
}

// checkNamespaceOf bounds the namespace in whose share of the backlog a scan counts.
func checkNamespaceOf(namespace string) error {
	return checkText("namespace", namespace, ClusterLength+1+NamespaceLength)
}

// CheckPriority says what is wrong with a priority and the namespace that it counts for.
func CheckPriority(p Priority, namespace string) error {
	return errors.Join(p.Check(), checkNamespaceOf(namespace))
}

// Check says what is wrong with a request for a new scan.
func (r Rescan) Check(time.Time) error {
	wrong := errors.Join(r.Priority.Check(), CheckText("reason", r.Reason, ReasonLength), CheckText("lost version", r.LostVersion, lostLength))
	if r.LostHub != "" {
		wrong = errors.Join(wrong, CheckHub(r.LostHub))
	}
	return wrong
}

// TroublesAtMost and IdentityLength bound what a perceiver says of itself and of its cluster. The UID of a namespace has 36
// characters.
const (
	TroublesAtMost = 20
	IdentityLength = 253
)

// Check says what is wrong with what a perceiver says of its own work.
func (h PerceiverHealth) Check(now time.Time) error {
	if err := errors.Join(CheckSize("troubles", len(h.Troubles), TroublesAtMost), checkRefused(h.Refused)); err != nil {
		return err
	}
	for _, t := range h.Troubles {
		if !slices.Contains(troubleKinds, t.Kind) {
			return fmt.Errorf("trouble %.40q is not known", t.Kind)
		}
		err := errors.Join(CheckCount("failures", t.Count), CheckTime("the begin of a trouble", t.Since, now), CheckText("the reason", t.Reason, ReasonLength))
		if err != nil {
			return err
		}
	}
	return nil
}

func checkRefused(n int64) error {
	if n < 0 {
		return fmt.Errorf("%d refused writes", n)
	}
	return nil
}

// CheckIdentity says what is wrong with the identity of a cluster. An empty one is not known.
func CheckIdentity(identity string) error {
	if identity == "" {
		return nil
	}
	return CheckName("identity", identity, IdentityLength)
}
