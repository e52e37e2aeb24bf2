package builtin_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin"
)

// TestNewDataChangeOldVerdicts: no rescan, and the client learns exactly which versions to read again.
func TestNewDataChangeOldVerdicts(t *testing.T) {
	h := open(t, t.TempDir())
	h.load("replace", record("TEST-1", "npm", "rotten", "1.2.0", mediumVector))
	shared := document("pkg:npm/rotten@1.0.0", "pkg:npm/other@1.0.0")
	h.scan(upload{project: "p", version: "v1", scan: "one", document: shared})
	h.scan(upload{project: "p", version: "v2", scan: "two", document: shared})
	h.scan(upload{project: "p", version: "v3", scan: "untouched", document: document("pkg:npm/clean@1.0.0")})
	_, one := h.location("one")
	_, untouched := h.location("untouched")
	oldTimes := []string{h.get(one + "/risk-profile").text("bomLastUpdatedAt"), h.get(untouched + "/risk-profile").text("bomLastUpdatedAt")}

	h.clock.Advance(time.Minute)
	start := h.clock.Now().Format(time.RFC3339Nano)
	h.load("merge", record("TEST-1", "npm", "rotten", "1.3.0", criticalVector), record("TEST-2", "npm", "other", "9.0.0", mediumVector))
	require.Equal(t, "IN_VIOLATION", h.get(one+"/policy-status").text("overallStatus"))
	require.Equal(t, "1", h.get(one+"/risk-profile").text("categories", "VULNERABILITY", "CRITICAL"))
	require.Greater(t, h.get(one+"/risk-profile").text("bomLastUpdatedAt"), oldTimes[0])
	require.Equal(t, oldTimes[1], h.get(untouched+"/risk-profile").text("bomLastUpdatedAt"), "an unchanged verdict keeps its time")

	news := h.list("/api/notifications?filter=notificationType:VULNERABILITY&startDate=" + start)
	require.Equal(t, 2, news.Total, "one for each component, with both versions in it")
	byName := map[string]map[string]any{}
	for _, item := range news.Items {
		content := item["content"].(map[string]any)
		byName[content["componentName"].(string)] = content
		require.Len(t, content["affectedProjectVersions"], 2)
	}
	require.Equal(t, "1", a1(byName["other"]["newVulnerabilityCount"]))
	require.Equal(t, "1", a1(byName["rotten"]["updatedVulnerabilityCount"]))
	require.Equal(t, 2, h.list("/api/notifications?filter=notificationType:RULE_VIOLATION&startDate="+start).Total)

	h.clock.Advance(time.Minute)
	start = h.clock.Now().Format(time.RFC3339Nano)
	h.load("replace", record("TEST-9", "npm", "unrelated", "1.0.0", ""))
	require.Equal(t, "NOT_IN_VIOLATION", h.get(one+"/policy-status").text("overallStatus"))
	cleared := h.list("/api/notifications?filter=notificationType:RULE_VIOLATION_CLEARED&startDate=" + start)
	require.Equal(t, 2, cleared.Total)
	content := cleared.Items[0]["content"].(map[string]any)
	require.Equal(t, "1", a1(content["componentVersionsCleared"]))
	require.Len(t, content["policyInfos"], 1)
	ended := h.list("/api/notifications?filter=notificationType:VULNERABILITY&startDate=" + start)
	require.Equal(t, 2, ended.Total)
	require.Equal(t, "1", a1(ended.Items[0]["content"].(map[string]any)["deletedVulnerabilityCount"]))
}

// a1 shows a JSON number as it stands there.
func a1(value any) string { return jsonOf(value) }

// TestEcosystemWithoutData: what the hub has no data of is unknown, and known once data come.
func TestEcosystemWithoutData(t *testing.T) {
	h := open(t, t.TempDir())
	h.load("replace", record("TEST-1", "npm", "rotten", "1.2.0", criticalVector))
	h.scan(upload{project: "p", version: "v", scan: "name", document: document(
		"pkg:pypi/a@1.0", "pkg:deb/debian/b@1.0?distro=debian-12", "pkg:npm/c@1.0.0", "pkg:npm/bad version@@", "pkg:cargo/d@1.0.0", "plain@1")})
	_, version := h.location("name")
	level := func(name string) string {
		return h.get(version+"/risk-profile").text("categories", "VULNERABILITY", name)
	}
	require.Equal(t, []string{"1", "5"}, []string{level("OK"), level("UNKNOWN")})
	h.load("merge", record("TEST-2", "PyPI", "z", "1.2.0", ""), record("TEST-3", "Debian:12", "b", "2.0", ""))
	require.Equal(t, []string{"2", "3", "1"}, []string{level("OK"), level("UNKNOWN"), level("UNRATED")})
	require.Equal(t, "map[Debian:12:1 PyPI:1 npm:1]", h.get("/internal/vulnerability-data").text("ecosystems"))
}

func TestLoadReports(t *testing.T) {
	h := open(t, t.TempDir())
	good := record("TEST-1", "npm", "rotten", "1.2.0", criticalVector)
	bad := `{"id":"TEST-BAD","modified":"2025-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"npm"}}]}`
	a := h.load("replace", good, "", "nonsense", bad, record("TEST-2", "npm", "b", "1.0.0", ""))
	var report builtin.LoadReport
	decodeInto(t, a.body, &report)
	require.Equal(t, 3, report.Records, "an odd part drops no record")
	require.Equal(t, []int{1, 1}, []int{report.Malformed, report.Odd})
	require.Equal(t, 3, report.MalformedRecords[0].Line)
	require.Equal(t, "TEST-BAD", report.OddRecords[0].ID)
	require.NotEmpty(t, report.OddRecords[0].Reason)

	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write([]byte(good))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	decodeInto(t, h.load("merge", packed.String()).body, &report)
	require.Equal(t, []int{1, 1}, []int{report.Records, report.Kept})

	for name, row := range map[string]struct {
		query, body, message string
		status               int
	}{
		"nothing":        {"", "", "holds no OSV record", 400},
		"only malformed": {"", "nonsense\n{}", "(2 malformed): the old data stay; line 1 is the first", 400},
		"no such mode":   {"?mode=add", good, "neither replace nor merge", 400},
		"broken gzip":    {"", packed.String()[:packed.Len()-6], "cannot be read to its end", 400},
		"no gzip":        {"", "\x1f\x8bnonsense", "begins like gzip", 400},
	} {
		t.Run(name, func(t *testing.T) {
			a := h.call(http.MethodPut, "/internal/vulnerability-data"+row.query, row.body)
			require.Equal(t, row.status, a.status)
			require.Contains(t, a.text("errorMessage"), row.message)
			require.Equal(t, "3", h.get("/internal/vulnerability-data").text("records"), "the old data stay")
		})
	}
	h.clock.Advance(5 * time.Second)
	h.requireNoLeftovers()
}

// requireNoLeftovers waits until the housekeeping deleted what is not in use.
func (h *testHub) requireNoLeftovers() {
	h.t.Helper()
	require.Eventually(h.t, func() bool { name, err := h.UnusedData(); return err == nil && name == "" }, patience, time.Millisecond)
}

// TestMergeReplacesWholeRecords: a record that is about something else now, or about nothing, no longer matches the old.
func TestMergeReplacesWholeRecords(t *testing.T) {
	h := open(t, t.TempDir())
	h.load("replace", record("TEST-1", "npm", "first", "1.2.0", criticalVector), record("TEST-2", "npm", "second", "1.2.0", criticalVector))
	h.scan(upload{project: "p", version: "v", scan: "name", document: document("pkg:npm/first@1.0.0", "pkg:npm/second@1.0.0", "pkg:npm/third@1.0.0")})
	_, version := h.location("name")
	names := func() string {
		var all []string
		for _, item := range h.list(version + "/vulnerable-bom-components").Items {
			all = append(all, item["componentName"].(string))
		}
		return strings.Join(all, " ")
	}
	require.Equal(t, "first second", names())
	h.load("merge", record("TEST-1", "npm", "third", "1.2.0", criticalVector))
	require.Equal(t, "second third", names())
	withdrawn := strings.Replace(record("TEST-2", "npm", "second", "1.2.0", ""), `{`, `{"withdrawn":"2025-07-01T00:00:00Z",`, 1)
	h.load("merge", withdrawn)
	require.Equal(t, "third", names())
}

func TestOneLoadAtATime(t *testing.T) {
	h := open(t, t.TempDir())
	inFirst, release := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		_, err := h.Load(t.Context(), func(yield func([]byte, error) bool) {
			close(inFirst)
			<-release
			yield([]byte(record("TEST-1", "npm", "a", "1.0.0", "")), nil)
		}, builtin.LoadOptions{Mode: builtin.Replace})
		done <- err
	}()
	<-inFirst
	a := h.call(http.MethodPut, "/internal/vulnerability-data", record("TEST-2", "npm", "b", "1.0.0", ""))
	require.Equal(t, http.StatusConflict, a.status)
	close(release)
	require.NoError(t, <-done)
	require.Equal(t, "1", h.get("/internal/vulnerability-data").text("records"))
}

func TestLoadGivesUp(t *testing.T) {
	h := open(t, t.TempDir())
	h.load("replace", record("TEST-1", "npm", "a", "1.0.0", ""))
	broken := errors.New("broken input")
	_, err := h.Load(t.Context(), func(yield func([]byte, error) bool) {
		if yield([]byte(record("TEST-2", "npm", "b", "1.0.0", "")), nil) {
			yield(nil, broken)
		}
	}, builtin.LoadOptions{Mode: builtin.Replace})
	require.ErrorIs(t, err, broken)
	require.Equal(t, "map[npm:1]", h.get("/internal/vulnerability-data").text("ecosystems"))
	_, err = h.Load(t.Context(), nil, builtin.LoadOptions{Mode: "sideways"})
	require.ErrorContains(t, err, "neither replace nor merge")
	h.clock.Advance(5 * time.Second)
	h.requireNoLeftovers()
}
