package kubernetes

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/unknowns"
	"github.com/perceptor/perceptor/model"
)

// requireNotFine wants no mark that a reader takes for "fine": no green status, no count of 0, no "has none", no "compliant".
func requireNotFine(t *testing.T, m marks, about string) {
	t.Helper()
	for _, keys := range []map[string]string{m.Labels, m.Annotations} {
		for key, value := range keys {
			if !strings.Contains(key, about) {
				continue
			}
			require.NotContains(t, value, string(model.NotInViolation), key)
			require.NotContains(t, value, string(model.InViolationOverridden), key)
			require.NotContains(t, value, `"compliant":true`, key)
			require.NotContains(t, value, `"data":"0"`, key)
			if strings.HasSuffix(key, "vulnerabilities") || strings.HasSuffix(key, "violations") {
				require.NotContains(t, []string{"0", "false"}, value, key)
			}
		}
	}
}

// TestNoMarkOfAnUnknownImageSaysItIsFine asks both forms about one image of each kind of UNKNOWN, alone and beside a good one.
func TestNoMarkOfAnUnknownImageSaysItIsFine(t *testing.T) {
	good := verdictOn("r.example/good:1", model.NotInViolation, 0, 1)
	for _, kind := range unknowns.All() {
		t.Run(kind.Name, func(t *testing.T) {
			image := model.ContainerVerdict{Name: "c", Reference: "r.example/odd:1", Image: kind.Summary("")}
			for _, form := range []Form{FormCompat, FormOpsSight, FormBoth} {
				m := markerOf(t, form, "")
				alone := m.of(rowOf(image))
				requireNotFine(t, alone, "")
				require.Equal(t, model.OverallUnknown, m.statusIn(alone))
				beside := m.of(rowOf(image, good))
				requireNotFine(t, beside, "pod")
				requireNotFine(t, beside, "image0")
				require.Equal(t, model.OverallUnknown, m.statusIn(beside))
			}
			both := markerOf(t, FormBoth, "").of(rowOf(image))
			require.Contains(t, both.Annotations["image0.coverage"], kind.Reason)
			require.Contains(t, both.Annotations["image0.blackducksoftware.com/coverage"], kind.Reason)
		})
	}
}

// TestNoMarkOfAPodWithoutAVerdictSaysItIsFine asks both forms about one container of each kind that has no verdict, alone and beside a
// good one.
func TestNoMarkOfAPodWithoutAVerdictSaysItIsFine(t *testing.T) {
	good := verdictOn("r.example/good:1", model.NotInViolation, 0, 1)
	for _, kind := range unknowns.Pods() {
		t.Run(kind.Name, func(t *testing.T) {
			image := model.ContainerVerdict{Name: "c", Reference: "r.example/odd:1", Image: kind.Image}
			for _, form := range []Form{FormCompat, FormOpsSight, FormBoth} {
				m := markerOf(t, form, "")
				requireNotFine(t, m.of(rowOf(image).At(time.Now())), "")
				beside := m.of(rowOf(image, good).At(time.Now()))
				requireNotFine(t, beside, "pod")
				requireNotFine(t, beside, "image0")
			}
		})
	}
}

// TestAViolationWithTooLittleCoverageIsNoProofOfTheRest: what is known to be bad is written; a count of 0 is not.
func TestAViolationWithTooLittleCoverageIsNoProofOfTheRest(t *testing.T) {
	image := verdictOn("r.example/odd:1", model.InViolation, 3, 1)
	image.Image.Vulnerabilities = model.Counts{Unrated: 3}
	image.Image.Coverage = model.CoverageSummary{Components: 3, Assessed: 2, Reason: "1 of 3 not assessed"}
	got := markerOf(t, FormBoth, "").of(rowOf(image))
	requireNotFine(t, got, "")
	require.Equal(t, "IN_VIOLATION", got.Labels["pod.overall-status"])
	require.Equal(t, "3", got.Labels["pod.policy-violations"])
	require.Equal(t, "true", got.Labels["com.blackducksoftware.pod.has-policy-violations"])
	require.NotContains(t, got.Labels, "com.blackducksoftware.pod.has-vulnerabilities")
	require.Contains(t, got.Annotations["quality.pod.openshift.io/policy.blackduck"], `"compliant":false`)
	require.NotContains(t, got.Annotations, "quality.pod.openshift.io/vulnerability.blackduck")
}
