package ownership

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// owned is an entry of the managed fields of a pod.
func owned(manager string, operation metav1.ManagedFieldsOperationType, labels, annotations []string) metav1.ManagedFieldsEntry {
	fields := func(keys []string) string {
		var all []string
		for _, key := range keys {
			all = append(all, fmt.Sprintf("%q:{}", "f:"+key))
		}
		return "{" + strings.Join(all, ",") + "}"
	}
	return metav1.ManagedFieldsEntry{
		Manager: manager, Operation: operation,
		FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:labels":` + fields(labels) + `,"f:annotations":` + fields(annotations) + `}}`),
	}
}

const (
	apply  = metav1.ManagedFieldsOperationApply
	update = metav1.ManagedFieldsOperationUpdate
)

var green = Marks{
	Labels:      map[string]string{"pod.overall-status": "NOT_IN_VIOLATION", "image0": "web"},
	Annotations: map[string]string{"pod.overall-status": "NOT_IN_VIOLATION"},
}

// written is a pod as the manager left it.
func written(m Manager, marks Marks) *metav1.ObjectMeta {
	want := m.Want(marks, nil)
	var labels, annotations []string
	for _, k := range want.keys() {
		if k.Label {
			labels = append(labels, k.Name)
		} else {
			annotations = append(annotations, k.Name)
		}
	}
	return &metav1.ObjectMeta{
		Labels: want.Labels, Annotations: want.Annotations,
		ManagedFields: []metav1.ManagedFieldsEntry{owned(m.Name(), apply, labels, annotations)},
	}
}

func TestAPodAsItWasWrittenStands(t *testing.T) {
	m := NewManager("east", Both, "")
	s := m.Read(written(m, green))
	require.Equal(t, m.Want(green, nil), s.Marks)
	require.True(t, s.Known)
	require.Empty(t, s.Leftover)
	require.Empty(t, s.Others)
	require.Equal(t, Plan{Apply: m.Want(green, nil)}, m.Plan(written(m, green), green))
	require.False(t, m.Read(&metav1.ObjectMeta{Labels: map[string]string{"app": "web"}}).Known)
}

// TestARestoredPodIsOwn: the keys that another field manager owns now are known by the record, and taken back.
func TestARestoredPodIsOwn(t *testing.T) {
	m := NewManager("east", Compat, "")
	pod := written(m, green)
	pod.ManagedFields = []metav1.ManagedFieldsEntry{owned("restore", update, []string{"pod.overall-status", "image0"}, []string{"pod.overall-status"})}
	s := m.Read(pod)
	require.True(t, s.Known)
	require.True(t, s.Marks.IsEmpty())
	require.NotEmpty(t, s.Leftover)
	p := m.Plan(pod, green)
	require.Equal(t, m.Want(green, nil), p.Apply, "nothing is left to the other manager")
	require.Empty(t, p.Remove)
	require.Len(t, m.Removal(pod), 4)

	changed := NewManager("east", OpsSight, "")
	p = changed.Plan(pod, Marks{Labels: map[string]string{"com.blackducksoftware.image0": "web"}})
	require.ElementsMatch(t, []Key{{true, "pod.overall-status"}, {true, "image0"}, {false, "pod.overall-status"}}, p.Remove, "keys of the earlier form go")
}

func TestAChangedFormOrPrefixRemovesTheOldKeys(t *testing.T) {
	before, after := NewManager("east", Both, ""), NewManager("east", Compat, "p.example/")
	require.NotEqual(t, before.Name(), after.Name())
	p := after.Plan(written(before, green), Marks{Labels: map[string]string{"p.example/image0": "web"}})
	require.ElementsMatch(t, []Key{{true, "pod.overall-status"}, {true, "image0"}, {false, "pod.overall-status"}}, p.Remove)
	require.Equal(t, "compat p.example/", p.Apply.Annotations[after.record])

	other := NewManager("west", Compat, "")
	require.Empty(t, other.Plan(written(before, green), Marks{}).Remove, "the marks of another perceiver stay")
}

func TestKeysThatAUserHadFirstStay(t *testing.T) {
	m := NewManager("east", Compat, "")
	pod := &metav1.ObjectMeta{
		Labels:        map[string]string{"image0": "mine", "app": "web"},
		ManagedFields: []metav1.ManagedFieldsEntry{owned("kubectl", update, []string{"image0", "app"}, nil)},
	}
	p := m.Plan(pod, green)
	require.NotContains(t, p.Apply.Labels, "image0")
	require.Equal(t, "NOT_IN_VIOLATION", p.Apply.Labels["pod.overall-status"])
	require.Equal(t, "label image0", p.Apply.Annotations[m.others])

	pod.Labels["pod.overall-status"] = "NOT_IN_VIOLATION"
	pod.Annotations = p.Apply.Annotations
	pod.ManagedFields = append(pod.ManagedFields, owned(m.Name(), apply, []string{"pod.overall-status"}, []string{"pod.overall-status", m.record, m.others}))
	require.Equal(t, p, m.Plan(pod, green), "it stays so")
	require.NotContains(t, m.Removal(pod), Key{true, "image0"})

	delete(pod.Labels, "image0")
	pod.ManagedFields = pod.ManagedFields[1:]
	require.Contains(t, m.Plan(pod, green).Apply.Labels, "image0", "a key that the user gave up is written")

	prefixed := NewManager("east", Compat, "p.example/")
	pod = &metav1.ObjectMeta{
		Labels:        map[string]string{"p.example/image0": "mine"},
		ManagedFields: []metav1.ManagedFieldsEntry{owned("kubectl", update, []string{"p.example/image0"}, nil)},
	}
	require.Contains(t, prefixed.Plan(pod, Marks{Labels: map[string]string{"p.example/image0": "web"}}).Apply.Labels, "p.example/image0", "a key with our prefix is ours")
}

func TestAnEditIsNoKeyOfOthers(t *testing.T) {
	m := NewManager("east", Compat, "")
	pod := written(m, green)
	pod.Labels["pod.overall-status"] = "IN_VIOLATION"
	pod.ManagedFields = []metav1.ManagedFieldsEntry{
		owned(m.Name(), apply, []string{"image0"}, []string{"pod.overall-status", m.record}), owned("kubectl", update, []string{"pod.overall-status"}, nil),
	}
	require.Equal(t, "NOT_IN_VIOLATION", m.Plan(pod, green).Apply.Labels["pod.overall-status"])
}

func TestNamesOfManagersAreValid(t *testing.T) {
	for _, cluster := range []string{"east", strings.Repeat("x", 100), "zürich", "a b"} {
		m := NewManager(cluster, Both, strings.Repeat("p", 200)+".example/")
		require.LessOrEqual(t, len(m.Name()), managerLength)
		require.Empty(t, validation.IsQualifiedName(m.record))
		require.Empty(t, validation.IsQualifiedName(m.others))
		for _, r := range m.Name() {
			require.Less(t, r, rune(128))
		}
	}
	require.NotEqual(t, NewManager("east", Both, "").record, NewManager("west", Both, "").record)
}

func TestHostileAnnotations(t *testing.T) {
	m := NewManager("east", Compat, "")
	for _, text := range []string{"", ",", "label ", "label image0,,x", strings.Repeat("label a,", 10_000), "both both both"} {
		pod := &metav1.ObjectMeta{
			Annotations: map[string]string{m.record: text, m.others: text}, Labels: map[string]string{"app": "web"},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: m.Name(), Operation: apply, FieldsV1: metav1.NewFieldsV1(`{"f:metadata":7}`)}, owned("u", update,
				[]string{"app", "image0"}, nil)},
		}
		require.LessOrEqual(t, len(m.Read(pod).Others), othersAtMost)
		require.NotContains(t, m.Removal(pod), Key{true, "app"}, "no record makes a key of a user ours")
	}
}

func TestFreshness(t *testing.T) {
	now := time.Now()
	require.True(t, RowIsFresh(now, now.Add(RowsGoodFor-1)))
	require.False(t, RowIsFresh(now, now.Add(RowsGoodFor)))
	const lease = 15 * time.Second
	require.True(t, MayWrite(now, now.Add(lease-LeadershipMargin-1), lease))
	require.False(t, MayWrite(now, now.Add(lease-LeadershipMargin), lease))
	require.False(t, MayWrite(time.Time{}, now, lease))
	require.Equal(t, time.Hour, Elapsed(now.Round(0).Add(-time.Hour), now), "the clock on the wall counts too")
}
