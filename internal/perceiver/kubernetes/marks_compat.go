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
		o.both(pod+"policy-violations", strconv.Itoa(row.PolicyViolations))
		o.both(pod+"vulnerabilities", strconv.Itoa(serious(row.Vulnerabilities)))
	}
	o.annotations[pod+"scanner-version"], o.annotations[pod+"server-version"] = "", ""
	for i, c := range row.Containers[:min(len(row.Containers), markedContainers)] {
		o.container(fmt.Sprintf("%simage%d", o.prefix, i), c)
	}
	if more := len(row.Containers) - markedContainers; more > 0 {
		o.annotations[pod+"images-not-shown"] = strconv.Itoa(more)
	}
}

func (o original) container(key string, c model.ContainerVerdict) {
	repository := repositoryOf(c.Reference)
	o.labels[key], o.annotations[key] = shortName(repository), dottedName(repository)
	o.both(key+".overall-status", statusOf(c.Image.OverallStatus))
	o.annotations[key+".scanner-version"], o.annotations[key+".server-version"] = "", ""
	if judged(c.Image) {
		o.both(key+".policy-violations", strconv.Itoa(c.Image.PolicyViolations))
		o.both(key+".vulnerabilities", strconv.Itoa(serious(c.Image.Vulnerabilities)))
		o.annotations[key+".project-endpoint"] = link(c.Image.ComponentsURL)
	} else if f := c.Image.Failure; f != nil {
		o.annotations[key+".scan-failure"] = clip(string(f.Class)+": "+f.Reason, failureLength)
	}
}

// both writes a value as label and as annotation.
func (o original) both(key, value string) { o.labels[key], o.annotations[key] = value, value }

// failureLength is how much of the reason of a failed scan is written.
const failureLength = 512

// statusOf is an overall status as a label shows it. A hub may use words that are not known here.
func statusOf(s model.OverallStatus) string {
	if value := labelValue(string(s)); value != "" {
		return value
	}
	return string(model.OverallUnknown)
}
