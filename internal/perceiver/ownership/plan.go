package ownership

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Plan is what to send for one pod.
type Plan struct {
	// Apply are the marks to apply as the manager; the keys that the manager applied before and that are not among them vanish.
	Apply Marks
	// Remove are keys to take away afterwards, also where another manager owns them.
	Remove []Key
}

// Want is what a pod shows when it is as it should be: the marks that its images say, without the keys of others, and with the
// annotations beside them.
func (m Manager) Want(marks Marks, others []string) Marks {
	want := marks.clone()
	for _, text := range others {
		for _, k := range parseKeys(text) {
			if k.Label {
				delete(want.Labels, k.Name)
			} else {
				delete(want.Annotations, k.Name)
			}
		}
	}
	want.Annotations[m.record] = m.recordValue()
	if len(others) > 0 {
		want.Annotations[m.others] = strings.Join(others, ",")
	}
	return want
}

// Plan is what to send for a pod that looks like this, so that it shows the marks. Everything in it may be applied by force.
func (m Manager) Plan(o *metav1.ObjectMeta, marks Marks) Plan {
	s := m.Read(o)
	others := s.Others
	if !s.Known {
		others = m.foreign(o)
	}
	p := Plan{Apply: m.Want(marks, others)}
	for _, k := range s.Leftover {
		if _, wanted := p.Apply.value(k); !wanted {
			p.Remove = append(p.Remove, k)
		}
	}
	return p
}

// Removal are all keys of the perceiver on a pod that looks like this, also where another manager owns them. Keys of others stay.
func (m Manager) Removal(o *metav1.ObjectMeta) []Key {
	s := m.Read(o)
	return append(s.Marks.keys(), s.Leftover...)
}

// foreign are the keys without a prefix of Perceptor's that look like marks and that another manager has. They are found once,
// before the first write. After that, such a key on a pod is one of ours that someone has changed.
func (m Manager) foreign(o *metav1.ObjectMeta) []string {
	owned, form := m.ownersOf(o), grammar{m.form, m.prefix}
	var others []string
	for k := range owned.foreign {
		if _, there := valueOf(o, k); there && form.has(k.Name) && !m.isReserved(k.Name) && !owned.own[k] && len(others) < othersAtMost {
			others = append(others, k.String())
		}
	}
	slices.Sort(others)
	return others
}

// value is the value of a key.
func (m Marks) value(k Key) (string, bool) {
	if k.Label {
		value, there := m.Labels[k.Name]
		return value, there
	}
	value, there := m.Annotations[k.Name]
	return value, there
}
