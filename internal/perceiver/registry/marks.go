package registry

import (
	"strconv"

	"github.com/perceptor/perceptor/model"
)

// Names of what is written to a registry. All but the digest are those of Perceptor 0.x (2018), in lower case as in Quay.
const (
	markStatus     = "overallstatus"
	markViolations = "policyviolations"
	markSerious    = "vulnerabilities"
	markLink       = "componentsurl"
	// markDigest says which manifest the others are about: a place that belongs to a tag may outlive what the tag led to.
	markDigest = "digest"
)

// markNames are all of them.
var markNames = []string{markStatus, markViolations, markSerious, markLink, markDigest}

// linkLength is the longest link that is written: half of one leads nowhere.
const linkLength = 1024

// marksOf are what a row says. Counts of an image without a verdict are left out, and so is a 0 that no coverage carries.
func marksOf(row model.PodVerdict) map[string]string {
	image := row.Containers[0].Image
	marks := map[string]string{markStatus: string(image.OverallStatus), markDigest: string(row.Containers[0].Reported)}
	if image.OverallStatus == "" || image.OverallStatus == model.OverallUnknown {
		marks[markStatus] = string(model.OverallUnknown)
		return marks
	}
	count := func(name string, n int) {
		if n > 0 || image.Coverage.Satisfied {
			marks[name] = strconv.Itoa(n)
		}
	}
	count(markViolations, image.PolicyViolations)
	count(markSerious, image.Vulnerabilities.Critical+image.Vulnerabilities.High)
	if image.ComponentsURL != "" && len(image.ComponentsURL) <= linkLength {
		marks[markLink] = image.ComponentsURL
	}
	return marks
}

// hasVerdict reports whether a scan of the row's image has ended. Before that nothing is written where nothing stands.
func hasVerdict(row model.PodVerdict) bool {
	return row.Containers[0].Image.Status == model.StatusComplete
}
