package kubernetes

import (
	"fmt"
	"strconv"

	"github.com/perceptor/perceptor/model"
)

// original writes the keys of the original's last form. Its versions of scanner and server were empty in the end, and stay so.
type original struct {
	marks
	prefix string
}

func (o original) write(row model.PodVerdict) {
	pod := o.prefix + "pod."
	o.both(o.prefix+overallStatus, statusOf(row.OverallStatus))
	if known(row) {
		o.count(pod+"policy-violations", row.PolicyViolations, covered(row))
		o.count(pod+"vulnerabilities", serious(row.Vulnerabilities), covered(row))
	}
	o.Annotations[pod+"scanner-version"], o.Annotations[pod+"server-version"] = "", ""
	for i, c := range row.Containers[:min(len(row.Containers), markedContainers)] {
		o.container(fmt.Sprintf("%simage%d", o.prefix, i), c)
	}
	if more := len(row.Containers) - markedContainers; more > 0 {
		o.Annotations[pod+"images-not-shown"] = strconv.Itoa(more)
	}
}

func (o original) container(key string, c model.ContainerVerdict) {
	repository := repositoryOf(c.Reference)
	o.Labels[key], o.Annotations[key] = shortName(repository), dottedName(repository)
	o.both(key+".overall-status", statusOf(c.Image.OverallStatus))
	o.Annotations[key+".scanner-version"], o.Annotations[key+".server-version"] = "", ""
	if judged(c.Image) {
		o.count(key+".policy-violations", c.Image.PolicyViolations, c.Image.Coverage.Satisfied)
		o.count(key+".vulnerabilities", serious(c.Image.Vulnerabilities), c.Image.Coverage.Satisfied)
		o.Annotations[key+".project-endpoint"] = link(c.Image.ComponentsURL)
	} else if f := c.Image.Failure; f != nil {
		o.Annotations[key+".scan-failure"] = clip(string(f.Class)+": "+f.Reason, failureLength)
	}
	if note := coverageNote(c.Image); note != "" {
		o.Annotations[key+".coverage"] = note
	}
}

// count writes a count. It leaves out a 0 that no coverage carries.
func (o original) count(key string, n int, covered bool) {
	if n > 0 || covered {
		o.both(key, strconv.Itoa(n))
	}
}

// both writes a value as label and as annotation.
func (o original) both(key, value string) { o.Labels[key], o.Annotations[key] = value, value }

// failureLength is how much of the reason of a failed scan is written.
const failureLength = 512

// statusOf is an overall status as a label shows it. A hub may use words that are not known here.
func statusOf(s model.OverallStatus) string {
	if value := labelValue(string(s)); value != "" {
		return value
	}
	return string(model.OverallUnknown)
}
