//go:build e2e || bench

package main_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/perceptor/perceptor/model"
)

// marks is what a pod's labels say of the pod.
type marks struct {
	overall         model.OverallStatus
	violations, bad int
}

// marked reads what a pod's labels say; a count that is not there is -1.
func marked(pod inCluster) marks {
	number := func(key string) int {
		n, err := strconv.Atoi(pod.Metadata.Labels[key])
		if err != nil {
			return -1
		}
		return n
	}
	return marks{model.OverallStatus(pod.Metadata.Labels["pod.overall-status"]), number("pod.policy-violations"), number("pod.vulnerabilities")}
}

// qualities are the endings of annotations that hold JSON, with what is counted in it.
var qualities = map[string]struct{ description, label string }{
	"vulnerability.blackduck": {"Vulnerability Info", "high"},
	"policy.blackduck":        {"Policy Info", "important"},
}

// quality is such an annotation.
type quality struct {
	Name        string
	Description string
	Timestamp   string
	Compliant   bool
	Summary     []struct {
		Label, Data   string
		SeverityIndex int
	}
}

// checkMarks compares a pod's labels and annotations, those of the original and those of OpsSight, with what must be there; the test's own
// label aside, nothing else may be.
func (r *report) checkMarks(pod inCluster, e expected) bool {
	before := r.faults
	labels, annotations, counts := e.marks()
	labels["app"] = pod.Metadata.Name
	r.same(pod.key()+", labels", labels, pod.Metadata.Labels)
	plain := maps.Clone(pod.Metadata.Annotations)
	for key, count := range counts {
		r.checkQuality(pod.key()+", "+key, plain[key], qualities[key[strings.LastIndex(key, "/")+1:]], count)
		delete(plain, key)
	}
	r.same(pod.key()+", annotations", annotations, plain)
	return r.faults == before
}

// same complains of every key that is missing, differs or is too many.
func (r *report) same(what string, want, got map[string]string) {
	for key, value := range want {
		if other, there := got[key]; !there || other != value {
			r.complain("%s: %s is %q, there: %t; want %q", what, key, other, there, value)
		}
	}
	for key, value := range got {
		if _, wanted := want[key]; !wanted {
			r.complain("%s: %s is %q; want none", what, key, value)
		}
	}
}

func (r *report) checkQuality(what, text string, words struct{ description, label string }, count int) {
	var q quality
	if err := json.Unmarshal([]byte(text), &q); err != nil || len(q.Summary) != 1 {
		r.complain("%s: %q %v", what, text, err)
		return
	}
	s := q.Summary[0]
	if q.Description != words.description || q.Timestamp == "" || q.Compliant != (count == 0) || s.Label != words.label || s.Data != strconv.Itoa(count) || s.SeverityIndex != 1 {
		r.complain("%s: %s; want %s, %s, %d", what, text, words.description, words.label, count)
	}
}

// marks are the labels and annotations a pod must have, and the counts in those annotations that hold JSON.
func (e expected) marks() (labels, annotations map[string]string, counts map[string]int) {
	labels, annotations, counts = map[string]string{}, map[string]string{}, map[string]int{}
	original := func(prefix string, overall model.OverallStatus, violations, bad int) {
		for _, both := range []map[string]string{labels, annotations} {
			both[prefix+"overall-status"] = string(overall)
			both[prefix+"policy-violations"], both[prefix+"vulnerabilities"] = strconv.Itoa(violations), strconv.Itoa(bad)
		}
		annotations[prefix+"scanner-version"], annotations[prefix+"server-version"] = "", ""
	}
	opsSight := func(prefix, quality string, overall model.OverallStatus, violations, bad int) {
		labels[prefix+"overall-status"] = string(overall)
		labels[prefix+"policy-violations"], labels[prefix+"has-policy-violations"] = strconv.Itoa(violations), strconv.FormatBool(violations > 0)
		labels[prefix+"vulnerabilities"], labels[prefix+"has-vulnerabilities"] = strconv.Itoa(bad), strconv.FormatBool(bad > 0)
		counts[quality+"vulnerability.blackduck"], counts[quality+"policy.blackduck"] = bad, violations
	}
	original("pod.", e.overall, e.violations, e.bad)
	opsSight("com.blackducksoftware.pod.", "quality.pod.openshift.io/", e.overall, e.violations, e.bad)
	for i, c := range e.containers {
		number := fmt.Sprintf("image%d", i)
		_, path, _ := strings.Cut(c.repository, "/")
		short, dotted := strings.ReplaceAll(path, "/", "."), strings.ReplaceAll(c.repository, "/", ".")
		original(number+".", c.overall, c.violations, c.bad())
		labels[number], annotations[number], annotations[number+".project-endpoint"] = short, dotted, c.components
		opsSight("com.blackducksoftware."+number+".", number+".quality.image.openshift.io/", c.overall, c.violations, c.bad())
		labels["com.blackducksoftware."+number] = short
		annotations[number+".blackducksoftware.com"], annotations[number+".quality.image.openshift.io"] = dotted, dotted
		annotations[number+".blackducksoftware.com/project-endpoint"] = c.components
		annotations[number+".blackducksoftware.com/hub-scanner-version"] = ""
		annotations[number+".blackducksoftware.com/attestation-server-version"] = ""
	}
	return labels, annotations, counts
}
