package ownership

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Marks are labels and annotations.
type Marks struct{ Labels, Annotations map[string]string }

// IsEmpty reports whether there are none.
func (m Marks) IsEmpty() bool { return len(m.Labels)+len(m.Annotations) == 0 }

// clone copies the marks, so that either copy can be changed.
func (m Marks) clone() Marks {
	c := Marks{Labels: maps.Clone(m.Labels), Annotations: maps.Clone(m.Annotations)}
	if c.Labels == nil {
		c.Labels = map[string]string{}
	}
	if c.Annotations == nil {
		c.Annotations = map[string]string{}
	}
	return c
}

// Standing is what one perceiver has on a pod now.
type Standing struct {
	// Marks are those that this manager wrote and that no one has changed since, the two annotations included.
	Marks Marks
	// Others are the keys that were someone else's before the first write and still are, such as "label pod.vulnerabilities".
	Others []string
	// Known says that the perceiver has written to the pod before.
	Known bool
	// Leftover are the keys of earlier forms, and keys of this perceiver that another manager owns now.
	Leftover []Key
}

// Key is the key of a label or of an annotation.
type Key struct {
	Label bool
	Name  string
}

func (k Key) String() string {
	if k.Label {
		return "label " + k.Name
	}
	return "annotation " + k.Name
}

// ownedFields is the part of a manager's entry that says which labels and annotations are its own.
type ownedFields struct {
	Metadata struct {
		Labels      map[string]json.RawMessage `json:"f:labels"`
		Annotations map[string]json.RawMessage `json:"f:annotations"`
	} `json:"f:metadata"`
}

// owners are the keys of an object by the kind of manager that owns them. An entry that cannot be read owns nothing.
type owners struct {
	// own are the keys of the present manager, earlier those of other managers of the same perceiver.
	own, earlier, foreign map[Key]bool
}

func (m Manager) ownersOf(o *metav1.ObjectMeta) owners {
	all := owners{own: map[Key]bool{}, earlier: map[Key]bool{}, foreign: map[Key]bool{}}
	for i := range o.ManagedFields {
		entry := &o.ManagedFields[i]
		var owned ownedFields
		if entry.FieldsV1 == nil || entry.Subresource != "" || json.Unmarshal(entry.FieldsV1.GetRawBytes(), &owned) != nil {
			continue
		}
		keys := all.foreign
		switch {
		case entry.Operation != metav1.ManagedFieldsOperationApply:
		case entry.Manager == m.name:
			keys = all.own
		case m.isOwn(entry.Manager):
			keys = all.earlier
		}
		for field := range owned.Metadata.Labels {
			addField(keys, true, field)
		}
		for field := range owned.Metadata.Annotations {
			addField(keys, false, field)
		}
	}
	return all
}

func addField(to map[Key]bool, label bool, field string) {
	if name, isKey := strings.CutPrefix(field, "f:"); isKey {
		to[Key{label, name}] = true
	}
}

// valueOf is what stands on an object under a key.
func valueOf(o *metav1.ObjectMeta, k Key) (string, bool) {
	values := o.Annotations
	if k.Label {
		values = o.Labels
	}
	value, there := values[k.Name]
	return value, there
}

// put sets a key of marks.
func (m Marks) put(k Key, value string) {
	if k.Label {
		m.Labels[k.Name] = value
		return
	}
	m.Annotations[k.Name] = value
}

// keys are all keys of marks.
func (m Marks) keys() []Key {
	var all []Key
	for _, name := range slices.Sorted(maps.Keys(m.Labels)) {
		all = append(all, Key{true, name})
	}
	for _, name := range slices.Sorted(maps.Keys(m.Annotations)) {
		all = append(all, Key{false, name})
	}
	return all
}

// Read finds what the perceiver has on an object.
func (m Manager) Read(o *metav1.ObjectMeta) Standing {
	owned := m.ownersOf(o)
	s := Standing{Marks: Marks{}.clone()}
	for k := range owned.own {
		if value, there := valueOf(o, k); there {
			s.Marks.put(k, value)
		}
	}
	record, recorded := parseRecord(o.Annotations[m.record])
	s.Known = recorded || len(owned.own)+len(owned.earlier) > 0
	if !s.Known {
		return s
	}
	left := map[Key]bool{}
	for _, k := range parseKeys(o.Annotations[m.others]) {
		if owned.foreign[k] && !owned.own[k] {
			left[k] = true
			s.Others = append(s.Others, k.String())
		}
	}
	for _, k := range (Marks{Labels: o.Labels, Annotations: o.Annotations}).keys() {
		written := owned.earlier[k] || recorded && record.has(k.Name) || k == (Key{false, m.record}) || k == (Key{false, m.others})
		if written && !owned.own[k] && !left[k] {
			s.Leftover = append(s.Leftover, k)
		}
	}
	return s
}

// othersAtMost bounds how many keys of others are read from an annotation, which anyone may have written.
const othersAtMost = 512

// parseKeys reads the annotation that names the keys of others.
func parseKeys(text string) []Key {
	var keys []Key
	for part := range strings.SplitSeq(text, ",") {
		kind, name, found := strings.Cut(part, " ")
		if found && name != "" && (kind == "label" || kind == "annotation") && len(keys) < othersAtMost {
			keys = append(keys, Key{kind == "label", name})
		}
	}
	return keys
}
