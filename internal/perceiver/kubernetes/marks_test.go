package kubernetes

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/perceptor/perceptor/model"
)

var judgedAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// verdictOn is a container's row with a verdict.
func verdictOn(reference string, overall model.OverallStatus, violations, high int) model.ContainerVerdict {
	return model.ContainerVerdict{Name: "c", Reference: reference, Image: model.Summary{
		Status: model.StatusComplete, OverallStatus: overall, PolicyViolations: violations,
		Vulnerabilities: model.Counts{Critical: 1, High: high - 1, Medium: 70, Low: 80, Unrated: 90}, ComponentsURL: "https://hub.example/components", JudgedAt: judgedAt,
		Coverage: model.CoverageSummary{Components: 250, Assessed: 250, Satisfied: true},
	}}
}

func unscanned(reference string) model.ContainerVerdict {
	return model.ContainerVerdict{Name: "c", Reference: reference, Image: model.Unscanned("")}
}

func rowOf(containers ...model.ContainerVerdict) model.PodVerdict {
	return model.Join("c", model.Pod{UID: "uid-a-one", Namespace: "a", Name: "one"}, containers)
}

func markerOf(t *testing.T, form Form, prefix string) marker {
	t.Helper()
	m, err := newMarker(form, prefix)
	require.NoError(t, err)
	return m
}

func TestTheOriginalsKeys(t *testing.T) {
	got := markerOf(t, FormCompat, "").of(rowOf(verdictOn("r.example/team/web:1", model.InViolation, 3, 16), verdictOn("nginx", model.NotInViolation, 0, 1)))
	require.Equal(t, map[string]string{
		"pod.overall-status": "IN_VIOLATION", "pod.policy-violations": "3", "pod.vulnerabilities": "17",
		"image0": "team.web", "image0.overall-status": "IN_VIOLATION", "image0.policy-violations": "3", "image0.vulnerabilities": "16",
		"image1": "nginx", "image1.overall-status": "NOT_IN_VIOLATION", "image1.policy-violations": "0", "image1.vulnerabilities": "1",
	}, got.Labels)
	require.Equal(t, map[string]string{
		"pod.overall-status": "IN_VIOLATION", "pod.policy-violations": "3", "pod.vulnerabilities": "17",
		"pod.scanner-version": "", "pod.server-version": "",
		"image0": "r.example.team.web", "image0.overall-status": "IN_VIOLATION", "image0.policy-violations": "3", "image0.vulnerabilities": "16",
		"image0.scanner-version": "", "image0.server-version": "", "image0.project-endpoint": "https://hub.example/components",
		"image1": "nginx", "image1.overall-status": "NOT_IN_VIOLATION", "image1.policy-violations": "0", "image1.vulnerabilities": "1",
		"image1.scanner-version": "", "image1.server-version": "", "image1.project-endpoint": "https://hub.example/components",
	}, got.Annotations)
}

func TestOpsSightsKeys(t *testing.T) {
	got := markerOf(t, FormOpsSight, "").of(rowOf(verdictOn("r.example/team/web:1", model.InViolation, 0, 16)))
	const p = "com.blackducksoftware."
	require.Equal(t, map[string]string{
		p + "pod.overall-status": "IN_VIOLATION", p + "pod.policy-violations": "0", p + "pod.has-policy-violations": "false",
		p + "pod.vulnerabilities": "16", p + "pod.has-vulnerabilities": "true",
		p + "image0": "team.web", p + "image0.overall-status": "IN_VIOLATION", p + "image0.policy-violations": "0",
		p + "image0.has-policy-violations": "false", p + "image0.vulnerabilities": "16", p + "image0.has-vulnerabilities": "true",
	}, got.Labels)
	quality := func(description, label, count string, compliant bool, reference string) string {
		return fmt.Sprintf(`{"name":"BlackDucksoftware","description":"%s","timestamp":"2026-01-02T03:04:05Z","reference":"%s","scannerVersion":"","compliant":%t,`+
			`"summary":[{"label":"%s","data":"%s","severityIndex":1,"reference":""}]}`, description, reference, compliant, label, count)
	}
	require.Equal(t, map[string]string{
		"quality.pod.openshift.io/vulnerability.blackduck": quality("Vulnerability Info", "high", "16", false, ""),
		"quality.pod.openshift.io/policy.blackduck":        quality("Policy Info", "important", "0", true, ""),
		"image0.blackducksoftware.com":                     "r.example.team.web", "image0.quality.image.openshift.io": "r.example.team.web",
		"image0.blackducksoftware.com/hub-scanner-version": "", "image0.blackducksoftware.com/attestation-server-version": "",
		"image0.blackducksoftware.com/project-endpoint":             "https://hub.example/components",
		"image0.quality.image.openshift.io/vulnerability.blackduck": quality("Vulnerability Info", "high", "16", false, "https://hub.example/components"),
		"image0.quality.image.openshift.io/policy.blackduck":        quality("Policy Info", "important", "0", true, "https://hub.example/components"),
	}, got.Annotations)
}

func TestWhatIsNotScannedIsNeverWrittenAsClean(t *testing.T) {
	failed := unscanned("r.example/failed:1")
	failed.Image.Status, failed.Image.Failure = model.StatusFailed, &model.Failure{Class: model.NotFound, Reason: "no such image " + strings.Repeat("x", 1000)}
	for _, row := range []model.PodVerdict{
		rowOf(), rowOf(unscanned("r.example/a:1")), rowOf(verdictOn("r.example/a:1", model.NotInViolation, 0, 1), unscanned("r.example/b:1")), rowOf(failed), {},
	} {
		got := markerOf(t, FormBoth, "").of(row)
		require.Equal(t, "UNKNOWN", got.Labels["pod.overall-status"])
		require.Equal(t, "UNKNOWN", got.Labels["com.blackducksoftware.pod.overall-status"])
		for _, keys := range []map[string]string{got.Labels, got.Annotations} {
			for key, value := range keys {
				require.False(t, strings.Contains(key, "pod.") && (strings.HasSuffix(key, "violations") || strings.HasSuffix(key, "vulnerabilities")), key)
				require.NotContains(t, key, "quality.pod")
				require.NotContains(t, value, `"compliant":true,"summary":[{"label":"high","data":"0"`)
			}
		}
	}
	both := markerOf(t, FormCompat, "").of(rowOf(unscanned("r.example/a:1"), verdictOn("r.example/b:1", model.InViolation, 2, 2), failed))
	require.Equal(t, "IN_VIOLATION", both.Labels["pod.overall-status"], "a violation is not hidden by what is not scanned")
	require.NotContains(t, both.Labels, "pod.vulnerabilities", "and its count is not mistaken for the pod's")
	require.Equal(t, "2", both.Labels["image1.vulnerabilities"])
	require.Equal(t, "UNKNOWN", both.Labels["image0.overall-status"])
	require.NotContains(t, both.Labels, "image0.vulnerabilities")
	require.NotContains(t, both.Annotations, "image0.scan-failure")
	require.True(t, strings.HasPrefix(both.Annotations["image2.scan-failure"], "not-found: no such image "))
	require.Len(t, both.Annotations["image2.scan-failure"], failureLength)
}

// requireValid holds marks against the rules of the API server.
func requireValid(t require.TestingT, m marks) {
	total := 0
	for key, value := range m.Labels {
		require.Empty(t, validation.IsQualifiedName(key), key)
		require.Empty(t, validation.IsValidLabelValue(value), value)
	}
	for key, value := range m.Annotations {
		require.Empty(t, validation.IsQualifiedName(strings.ToLower(key)), key)
		total += len(key) + len(value)
	}
	require.Less(t, total, 256<<10)
}

func TestMarksAreValidWhateverThePodRuns(t *testing.T) {
	long := strings.Repeat("very/", 500) + "long"
	var many []model.ContainerVerdict
	for i := range 10_000 {
		many = append(many, verdictOn(fmt.Sprintf("r.example/%s-%d:1", long, i), model.NotInViolation, i, i+1))
	}
	for _, containers := range [][]model.ContainerVerdict{
		many,
		{verdictOn("", "SOME NEW/STATUS", 0, 1), verdictOn("///", "...", 1, 1), verdictOn("r.example/"+strings.Repeat("a", 62)+"./b", model.InViolation, 1, 1)},
		{verdictOn("\x00\xff é", "\x00", 1, 1), verdictOn(strings.Repeat("-", 100), "", 1, 1)},
	} {
		got := markerOf(t, FormBoth, "perceptor.example/").of(rowOf(containers...))
		requireValid(t, got)
	}
	got := markerOf(t, FormCompat, "").of(rowOf(many...))
	require.Equal(t, "9968", got.Annotations["pod.images-not-shown"])
	require.NotContains(t, got.Labels, "image32")
	require.Equal(t, fmt.Sprint(9_999*10_000/2), got.Labels["pod.policy-violations"], "the pod's counts are of all")
}

func TestShortNames(t *testing.T) {
	for repository, want := range map[string]string{
		"r.example/team/web": "team.web", "r.example:5000/web": "web", "localhost/web": "web", "team/web": "team.web", "foo.bar": "foo.bar", "nginx": "nginx",
		"r.example/" + strings.Repeat("a", 62) + "/b": strings.Repeat("a", 62), "r.example/-a_": "a", "r.example/a~b": "a-b", "": "", "...": "",
	} {
		require.Equal(t, want, shortName(repository), repository)
	}
}

func FuzzMarks(f *testing.F) {
	f.Add("r.example/team/web:1", "IN_VIOLATION", "why")
	f.Add("", "", "")
	f.Add(strings.Repeat("é", 100), "\x00", "\xff")
	m, err := newMarker(FormBoth, "p.example/")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, reference, status, reason string) {
		failed := unscanned(reference)
		failed.Image.Failure = &model.Failure{Reason: reason}
		row := rowOf(verdictOn(reference, model.OverallStatus(status), 1, 1), failed)
		requireValid(t, m.of(row))
		require.LessOrEqual(t, len(violation(row, judgedAt).Message), eventMessage)
	})
}

func TestPrefixesAndForms(t *testing.T) {
	got := markerOf(t, FormCompat, "perceptor.example/").of(rowOf(verdictOn("nginx", model.NotInViolation, 0, 1)))
	require.Equal(t, "NOT_IN_VIOLATION", got.Labels["perceptor.example/pod.overall-status"])
	require.Equal(t, "nginx", got.Labels["perceptor.example/image0"])
	require.Equal(t, model.NotInViolation, markerOf(t, FormCompat, "perceptor.example/").statusIn(got))
	for _, wrong := range []string{"a/b/", "-", "no space/", strings.Repeat("x", 60), "UPPER.example/"} {
		_, err := newMarker("", wrong)
		require.ErrorContains(t, err, "does not begin a valid label", wrong)
	}
	_, err := newMarker("all", "")
	require.ErrorContains(t, err, `labels "all"`)
}

func TestMarksHaveASum(t *testing.T) {
	require.Zero(t, sumOfMarks(marks{}))
	require.NotEqual(t, sumOfMarks(marks{Labels: map[string]string{"a": "b"}}), sumOfMarks(marks{Annotations: map[string]string{"a": "b"}}))
}

func TestEventsAboutViolations(t *testing.T) {
	row := rowOf(verdictOn("r.example/a:1", model.InViolation, 3, 2), verdictOn("r.example/b:1", model.NotInViolation, 0, 1))
	event := violation(row, judgedAt)
	require.Equal(t, "In violation of policy: r.example/a:1 (3 violations, 2 critical or high vulnerabilities)", event.Message)
	require.Equal(t, event.Name, violation(row, time.Now()).Name, "the same is announced once")
	row.Containers[0].Image.JudgedAt = judgedAt.Add(time.Hour)
	require.NotEqual(t, event.Name, violation(row, judgedAt).Name)
	row.Name = strings.Repeat("p", 253)
	require.Len(t, violation(row, judgedAt).Name, 253)
	text, err := json.Marshal(event)
	require.NoError(t, err)
	require.Contains(t, string(text), `"reason":"PolicyViolation"`)
	var many []model.ContainerVerdict
	for range 10_000 {
		many = append(many, verdictOn("r.example/"+strings.Repeat("a", 2000), model.InViolation, 1, 1))
	}
	event = violation(rowOf(many...), judgedAt)
	require.True(t, strings.HasSuffix(event.Message, " and 9997 more"), event.Message)
}
