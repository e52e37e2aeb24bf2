package kubernetes

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/perceptor/perceptor/model"
)

const opsSightPrefix = "com.blackducksoftware."

// opsSight writes the keys of OpsSight, whose annotations are in OpenShift's form for the security of containers.
type opsSight struct{ marks }

func (o opsSight) write(row model.PodVerdict) {
	const pod = opsSightPrefix + "pod."
	o.Labels[opsSightPrefix+overallStatus] = statusOf(row.OverallStatus)
	if known(row) {
		c := opsSightCounts{row.PolicyViolations, serious(row.Vulnerabilities), covered(row)}
		o.counts(pod, c)
		o.quality("quality.pod.openshift.io/", c, newest(row), "")
	}
	for i, c := range row.Containers[:min(len(row.Containers), markedContainers)] {
		o.container(fmt.Sprintf("image%d", i), c)
	}
}

func (o opsSight) container(number string, c model.ContainerVerdict) {
	repository, label := repositoryOf(c.Reference), opsSightPrefix+number
	name, url := dottedName(repository), link(c.Image.ComponentsURL)
	o.Labels[label], o.Labels[label+".overall-status"] = shortName(repository), statusOf(c.Image.OverallStatus)
	for key, value := range map[string]string{
		".blackducksoftware.com": name, ".quality.image.openshift.io": name,
		".blackducksoftware.com/hub-scanner-version": "", ".blackducksoftware.com/attestation-server-version": "",
	} {
		o.Annotations[number+key] = value
	}
	if judged(c.Image) {
		counts := opsSightCounts{c.Image.PolicyViolations, serious(c.Image.Vulnerabilities), c.Image.Coverage.Satisfied}
		o.counts(label+".", counts)
		o.Annotations[number+".blackducksoftware.com/project-endpoint"] = url
		o.quality(number+".quality.image.openshift.io/", counts, c.Image.JudgedAt, url)
	}
	if note := coverageNote(c.Image); note != "" {
		o.Annotations[number+".blackducksoftware.com/coverage"] = note
	}
}

// opsSightCounts are the counts of a pod or an image. Where they are not covered, 0 means "not known" and is not written.
type opsSightCounts struct {
	violations, vulnerabilities int
	covered                     bool
}

func (o opsSight) counts(prefix string, c opsSightCounts) {
	for name, count := range map[string]int{"policy-violations": c.violations, "vulnerabilities": c.vulnerabilities} {
		if count > 0 || c.covered {
			o.Labels[prefix+name] = strconv.Itoa(count)
			o.Labels[prefix+"has-"+name] = strconv.FormatBool(count > 0)
		}
	}
}

// qualityInfo is OpenShift's form of an annotation about the security of a container.
type qualityInfo struct {
	Name           string           `json:"name"`
	Description    string           `json:"description"`
	Timestamp      string           `json:"timestamp"`
	Reference      string           `json:"reference"`
	ScannerVersion string           `json:"scannerVersion"`
	Compliant      bool             `json:"compliant"`
	Summary        []qualitySummary `json:"summary"`
}

type qualitySummary struct {
	Label string `json:"label"`
	// Data is a number in digits. OpsSight wrote the character with that number.
	Data          string `json:"data"`
	SeverityIndex int    `json:"severityIndex"`
	Reference     string `json:"reference"`
}

// quality writes both kinds. Their time is that of the judgement: with that of the writing they would differ each time.
func (o opsSight) quality(prefix string, c opsSightCounts, at time.Time, reference string) {
	for _, each := range []struct {
		kind, description, label string
		count                    int
	}{
		{"vulnerability.blackduck", "Vulnerability Info", "high", c.vulnerabilities},
		{"policy.blackduck", "Policy Info", "important", c.violations},
	} {
		if each.count == 0 && !c.covered {
			continue // not known, so not compliant
		}
		text, err := json.Marshal(qualityInfo{
			Name: "BlackDucksoftware", Description: each.description, Timestamp: at.UTC().Format(time.RFC3339), Reference: reference,
			Compliant: each.count == 0, Summary: []qualitySummary{{Label: each.label, Data: strconv.Itoa(each.count), SeverityIndex: 1}},
		})
		if err == nil { // it holds nothing that cannot be written
			o.Annotations[prefix+each.kind] = string(text)
		}
	}
}

// newest is the time of the newest judgement in a row.
func newest(row model.PodVerdict) time.Time {
	var at time.Time
	for _, c := range row.Containers {
		at = latest(at, c.Image.JudgedAt)
	}
	return at
}
