package kubernetes

import (
	"errors"
	"fmt"
	"strconv"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/perceptor/perceptor/internal/perceiver"
)

// OptOut is the annotation by which a pod, or a namespace for all its pods, asks to be left alone: "true".
const OptOut = "perceptor/ignore"

// DefaultIgnored are images that hold nothing but a program that sleeps.
var DefaultIgnored = []string{"pause", "*/pause", "*/mirrored-pause"}

// Selection says which pods and images are of interest; the zero Selection is all of them.
type Selection struct {
	// Namespaces, ExcludedNamespaces and IgnoredImages are those of perceiver.Selection.
	Namespaces, ExcludedNamespaces []string
	// NamespaceSelector is a selector over the labels of namespaces, as kubectl takes it.
	NamespaceSelector string
	IgnoredImages     []string
}

// Filter is a Selection made ready.
type Filter struct {
	*perceiver.Filter
	selector labels.Selector
}

// NewFilter refuses what is no pattern or selector, all mistakes at once.
func NewFilter(s Selection) (*Filter, error) {
	shared, wrong := perceiver.NewFilter(perceiver.Selection{
		Namespaces: s.Namespaces, ExcludedNamespaces: s.ExcludedNamespaces, IgnoredImages: s.IgnoredImages,
	})
	f := &Filter{Filter: shared}
	selector, err := labels.Parse(s.NamespaceSelector)
	if err != nil {
		wrong = errors.Join(wrong, fmt.Errorf("namespace selector %q: %w", s.NamespaceSelector, err))
	}
	if s.NamespaceSelector != "" {
		f.selector = selector
	}
	return f, wrong
}

// selects reports whether a namespace with these labels is of interest.
func (f *Filter) selects(namespace map[string]string) bool {
	return f.selector == nil || f.selector.Matches(labels.Set(namespace))
}

// optedOut reports whether annotations ask for being left alone.
func optedOut(annotations map[string]string) bool {
	asked, err := strconv.ParseBool(annotations[OptOut])
	return err == nil && asked
}
