package kubernetes

import (
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/perceptor/perceptor/internal/perceiver/ownership"
	"github.com/perceptor/perceptor/model"
)

// Form is a set of keys in which verdicts are written.
type Form string

// The forms: the keys of the perceivers of 2018, those of OpsSight, or both.
const (
	FormCompat   Form = ownership.Compat
	FormOpsSight Form = ownership.OpsSight
	FormBoth     Form = ownership.Both
)

// markedContainers is how many containers of a pod get marks of their own; the pod's are of all of them. It keeps
// annotations far below the 256 KiB that an object may have.
const markedContainers = 32

// marks are the labels and annotations that say what is known of a pod.
type marks = ownership.Marks

// marker turns rows into marks.
type marker struct {
	form   Form
	prefix string
}

// newMarker takes no form for both, and refuses what makes no valid keys.
func newMarker(form Form, prefix string) (marker, error) {
	if form == "" {
		form = FormBoth
	}
	if !slices.Contains([]Form{FormCompat, FormOpsSight, FormBoth}, form) {
		return marker{}, fmt.Errorf("labels %q: want compat, opssight or both", string(form))
	}
	m := marker{form: form, prefix: prefix}
	longest := prefix + fmt.Sprintf("image%d.policy-violations", markedContainers-1)
	if wrong := validation.IsQualifiedName(longest); len(wrong) > 0 {
		return marker{}, fmt.Errorf("prefix %q does not begin a valid label, such as %q: %w", prefix, longest, errors.New(strings.Join(wrong, "; ")))
	}
	return m, nil
}

// of are the marks of a row as it holds now. A count stands only where everything counted has a verdict, and a count of 0 only
// where the coverage is enough: what is not scanned or not assessed is never 0.
func (m marker) of(row model.PodVerdict) marks {
	row = row.At(time.Now())
	all := marks{Labels: map[string]string{}, Annotations: map[string]string{}}
	if m.form != FormOpsSight {
		original{marks: all, prefix: m.prefix}.write(row)
	}
	if m.form != FormCompat {
		opsSight{all}.write(row)
	}
	return all
}

// statusIn is the overall status that marks say of a pod, in one form or the other; empty where they say none.
func (m marker) statusIn(on marks) model.OverallStatus {
	for _, key := range []string{m.prefix + overallStatus, opsSightPrefix + overallStatus} {
		if status := on.Labels[key]; status != "" {
			return model.OverallStatus(shared(status))
		}
	}
	return ""
}

// overallStatus is the end of the key of a pod's overall status, in both forms.
const overallStatus = "pod.overall-status"

// known reports whether every container of a row has a verdict.
func known(row model.PodVerdict) bool {
	return len(row.Containers) > 0 && !slices.ContainsFunc(row.Containers, func(c model.ContainerVerdict) bool { return !judged(c.Image) })
}

func judged(s model.Summary) bool {
	return s.OverallStatus != "" && s.OverallStatus != model.OverallUnknown
}

// covered reports whether every container of a row has a verdict with enough coverage.
func covered(row model.PodVerdict) bool {
	return len(row.Containers) > 0 && !slices.ContainsFunc(row.Containers, func(c model.ContainerVerdict) bool { return !c.Image.Coverage.Satisfied })
}

// coverageNote says what was assessed and why that is not enough; empty where it is enough, or where there is no verdict.
func coverageNote(s model.Summary) string {
	if s.Status != model.StatusComplete || s.Coverage.Satisfied {
		return ""
	}
	return clip(s.Coverage.Text()+": "+s.Coverage.Reason, failureLength)
}

// serious is what the original counts as vulnerabilities.
func serious(c model.Counts) int { return c.Critical + c.High }

// sumOfMarks tells marks apart; it is 0 for none.
func sumOfMarks(m marks) uint64 {
	if m.IsEmpty() {
		return 0
	}
	var h maphash.Hash
	h.SetSeed(seed)
	for _, each := range []map[string]string{m.Labels, m.Annotations} {
		for _, key := range slices.Sorted(maps.Keys(each)) {
			_, _ = h.WriteString(key + "\x00" + each[key] + "\x00")
		}
		_ = h.WriteByte(1)
	}
	return h.Sum64()
}
