package model

import (
	"errors"
	"fmt"
	"strings"
)

// Workload is what owns a pod, in the platform's own words, such as the Deployment "web" or the Swarm service "shop_web". The zero
// value is a pod that nothing owns, or of which the platform does not say it.
type Workload struct {
	// Kind is such as Deployment, StatefulSet, DaemonSet, Job, Service or ComposeService.
	Kind string `json:"kind,omitempty"`
	Name string `json:"name,omitempty"`
}

// String is such as "Deployment/web"; empty for no workload.
func (w Workload) String() string {
	if w == (Workload{}) {
		return ""
	}
	return w.Kind + "/" + w.Name
}

// Matches reports whether a text names the workload: by its name, or by kind and name such as "deployment/web". The kind is compared
// without regard to upper and lower case.
func (w Workload) Matches(text string) bool {
	if w == (Workload{}) {
		return false
	}
	kind, name, both := strings.Cut(text, "/")
	if !both {
		return w.Name == text
	}
	return strings.EqualFold(w.Kind, kind) && w.Name == name
}

// The bounds of what perceivers report of the labels that an operator has chosen, in bytes. A key of Kubernetes has at most 317, a
// value at most 63.
const (
	LabelsAtMost       = 16
	LabelKeyLength     = 317
	LabelValueLength   = 253
	WorkloadKindLength = 63
)

func (w Workload) check() error {
	if w == (Workload{}) {
		return nil
	}
	return errors.Join(CheckName("kind of the workload", w.Kind, WorkloadKindLength), CheckName("name of the workload", w.Name, PodNameLength))
}

// CheckLabelKey says what is wrong with the key of a label.
func CheckLabelKey(key string) error {
	if key == "" || strings.ContainsAny(key, "= ,") {
		return fmt.Errorf("label %.80q: want a key without spaces, commas and equal signs", key)
	}
	return checkText("key of a label", key, LabelKeyLength)
}

// CheckLabels says what is wrong with labels.
func CheckLabels(labels map[string]string) error {
	if err := CheckSize("labels", len(labels), LabelsAtMost); err != nil {
		return err
	}
	var wrong []error
	//workflowcheck:ignore the order decides only about the order of the mistakes in an error
	for key, value := range labels {
		wrong = append(wrong, CheckLabelKey(key), checkText("label "+key, value, LabelValueLength))
	}
	return errors.Join(wrong...)
}

// ParseLabels reads labels as a person writes them, such as "team=shop". The value may be empty.
func ParseLabels(texts []string) (map[string]string, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	labels := make(map[string]string, len(texts))
	for _, text := range texts {
		key, value, found := strings.Cut(text, "=")
		if !found {
			return nil, fmt.Errorf("label %.80q: want a key and a value, such as team=shop", text)
		}
		if had, twice := labels[key]; twice && had != value {
			return nil, fmt.Errorf("label %.80q is given twice, with %.80q and %.80q", key, had, value)
		}
		labels[key] = value
	}
	return labels, CheckLabels(labels)
}
