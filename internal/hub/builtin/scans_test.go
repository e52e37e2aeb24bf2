package builtin_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin"
)

// TestStatesOfARunningScan walks a scan through its time and reads all forms of its state.
func TestStatesOfARunningScan(t *testing.T) {
	h := open(t, t.TempDir(), func(o *builtin.Options) { o.ScanTime = 8 * time.Second })
	a := h.upload(upload{project: "p", version: "v", scan: "name", document: document("pkg:npm/a@1.0.0")})
	require.Equal(t, http.StatusCreated, a.status)
	location, version := h.location("name")
	id := a.header.Get("Location")[strings.LastIndexByte(a.header.Get("Location"), '/')+1:]
	var seen []string
	for range 8 {
		var list struct {
			Items []struct {
				Status string `json:"status"`
			} `json:"items"`
		}
		h.decode(location+"/scan-summaries", &list)
		require.Len(t, list.Items, 1)
		seen = append(seen, list.Items[0].Status)
		require.Equal(t, "STARTED", h.get(location+"/latest-scan-summary").text("scanState"))
		require.Equal(t, "BUILDING", h.get(version+"/bom-status/"+id).text("status"))
		require.Equal(t, "PROCESSING", h.get(version+"/bom-status").text("status"))
		require.Equal(t, "UNKNOWN", h.get(version+"/policy-status").text("overallStatus"), "not scanned is not clean")
		if len(seen) < 8 {
			h.clock.Advance(time.Second)
		}
	}
	require.Equal(t, []string{
		"UNSTARTED", "SCANNING", "SAVING_SCAN_DATA", "SCAN_DATA_SAVE_COMPLETE", "REQUESTED_MATCH_JOB", "MATCHING", "BOM_VERSION_CHECK", "BUILDING_BOM",
	}, seen)
	h.clock.Advance(time.Second)
	h.awaitScan(a.header.Get("Location"))
	require.Equal(t, "SUCCESS", h.get(version+"/bom-status/"+id).text("status"))
	require.Equal(t, "UNKNOWN", h.get(version+"/policy-status").text("overallStatus"), "there are no data at all")
	require.Equal(t, "1", h.get(version+"/risk-profile").text("notAssessedCount"))
	h.load("replace", record("TEST-1", "npm", "another", "1.2.0", ""))
	require.Equal(t, "NOT_IN_VIOLATION", h.get(version+"/policy-status").text("overallStatus"), "with complete data it is clean")
	require.Equal(t, "0", h.get(version+"/risk-profile").text("notAssessedCount"))
}

func TestDeletionCancelsRunningScans(t *testing.T) {
	for name, row := range map[string]struct {
		remove func(h *testHub, location, version string) string
		left   int
	}{
		"version":       {func(_ *testHub, _, version string) string { return version }, 1},
		"project":       {func(_ *testHub, _, version string) string { return version[:strings.Index(version, "/versions/")] }, 1},
		"code location": {func(_ *testHub, location, _ string) string { return location }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, t.TempDir(), func(o *builtin.Options) { o.ScanTime = time.Minute })
			a := h.upload(upload{project: "p", version: "v", scan: "name", document: document("pkg:npm/a@1.0.0")})
			location, version := h.location("name")
			require.Equal(t, http.StatusNoContent, h.call(http.MethodDelete, row.remove(h, location, version), "").status)
			stats, err := h.Stats()
			require.NoError(t, err)
			require.Equal(t, []uint64{0, 1, 0, 1}, []uint64{stats.InProgress, stats.ScansFailed, stats.ScansSucceeded, stats.MaxInProgress})
			if row.left == 1 {
				summary := h.get(a.header.Get("Location"))
				require.Equal(t, "FAILURE", summary.text("scanState"))
				require.Equal(t, "CANCELLED", summary.text("transitionReason"))
				require.Equal(t, "<nil>", h.get(location).text("mappedProjectVersion"), "unmapped")
			}
			h.clock.Advance(10 * time.Minute) // the cancelled scan must not come back to life
			h.scanLater(t)
			again, err := h.Stats()
			require.NoError(t, err)
			require.Equal(t, uint64(1), again.ScansFailed)
			require.Equal(t, uint64(1), again.ScansSucceeded)
		})
	}
}

// scanLater lets one more scan run to its end.
func (h *testHub) scanLater(t *testing.T) {
	t.Helper()
	a := h.upload(upload{project: "p2", version: "v2", scan: "later", document: document("pkg:npm/a@1.0.0")})
	require.Equal(t, http.StatusCreated, a.status, "%s", a.body)
	h.clock.Advance(10 * time.Minute)
	h.awaitScan(a.header.Get("Location"))
}

// TestRescanReplaces: the same name again is the same code location with new contents.
func TestRescanReplaces(t *testing.T) {
	h := open(t, t.TempDir())
	h.load("replace", record("TEST-1", "npm", "rotten", "1.2.0", criticalVector))
	u := upload{project: "p", version: "v", scan: "name", document: document("pkg:npm/rotten@1.0.0")}
	h.scan(u)
	location, version := h.location("name")
	require.Equal(t, "IN_VIOLATION", h.get(version+"/policy-status").text("overallStatus"))
	before := h.get(version + "/risk-profile").text("bomLastUpdatedAt")
	u.document = document("pkg:npm/rotten@1.2.0")
	h.scan(u)
	again, _ := h.location("name")
	require.Equal(t, location, again)
	require.Equal(t, "NOT_IN_VIOLATION", h.get(version+"/policy-status").text("overallStatus"))
	require.Greater(t, h.get(version+"/risk-profile").text("bomLastUpdatedAt"), before, "also within one millisecond")
	require.Equal(t, "2", h.get(location+"/scan-summaries").text("totalCount"))
}

// TestNewerScanStands: a scan that finishes after a newer one of its name does not put old contents back.
func TestNewerScanStands(t *testing.T) {
	h := open(t, t.TempDir(), func(o *builtin.Options) { o.ScanTime = time.Minute })
	u := upload{project: "p", version: "v", scan: "name", document: document("pkg:npm/old@1.0.0", "pkg:npm/older@1.0.0")}
	first := h.upload(u)
	u.document = document("pkg:npm/new@1.0.0")
	second := h.upload(u)
	h.clock.Advance(time.Minute)
	h.awaitScan(first.header.Get("Location"))
	h.awaitScan(second.header.Get("Location"))
	_, version := h.location("name")
	require.Equal(t, "1", h.get(version+"/components").text("totalCount"))
}

// TestMoving maps a code location elsewhere by upload and by hand: the version it leaves loses its components.
func TestMoving(t *testing.T) {
	h := open(t, t.TempDir())
	h.load("replace", record("TEST-1", "npm", "rotten", "1.2.0", criticalVector))
	u := upload{project: "p", version: "v1", scan: "moved", document: document("pkg:npm/rotten@1.0.0")}
	h.scan(u)
	location, first := h.location("moved")
	u.version = "v2"
	h.scan(u)
	_, second := h.location("moved")
	require.NotEqual(t, first, second)
	require.Equal(t, "UNKNOWN", h.get(first+"/policy-status").text("overallStatus"), "nothing of it is scanned any more")
	require.Equal(t, "0", h.get(first+"/codelocations").text("totalCount"))
	require.Equal(t, "IN_VIOLATION", h.get(second+"/policy-status").text("overallStatus"))

	a := h.call(http.MethodPut, location, `{"mappedProjectVersion":"`+first+`"}`)
	require.Equal(t, http.StatusOK, a.status, "%s", a.body)
	require.Equal(t, "IN_VIOLATION", h.get(first+"/policy-status").text("overallStatus"))
	require.Equal(t, "UNKNOWN", h.get(second+"/policy-status").text("overallStatus"))
	require.Equal(t, http.StatusOK, h.call(http.MethodPut, location, `{"mappedProjectVersion":""}`).status)
	require.Equal(t, "<nil>", h.get(location).text("mappedProjectVersion"))

	for body, message := range map[string]string{
		`{}`:                                    "mappedProjectVersion is missing",
		`{"mappedProjectVersion":"https://x/"}`: "is not the URL of a project version",
		`{"mappedProjectVersion":"` + first + `/components"}`: "is not the URL of a project version",
		`nonsense`: "not the JSON",
	} {
		a := h.call(http.MethodPut, location, body)
		require.Equal(t, http.StatusBadRequest, a.status)
		require.Contains(t, a.text("errorMessage"), message)
	}
}

// TestTwoCodeLocationsOfOneVersion: a version is judged by all of them together, a shared package counted once.
func TestTwoCodeLocationsOfOneVersion(t *testing.T) {
	h := open(t, t.TempDir())
	h.load("replace", record("TEST-1", "npm", "rotten", "1.2.0", criticalVector))
	h.scan(upload{project: "p", version: "v", scan: "one", document: document("pkg:npm/rotten@1.0.0", "pkg:npm/a@1.0.0")})
	h.scan(upload{project: "p", version: "v", scan: "two", document: document("pkg:npm/b@1.0.0", "pkg:npm/a@1.0.0")})
	location, version := h.location("one")
	require.Equal(t, "3", h.get(version+"/components").text("totalCount"))
	require.Equal(t, http.StatusNoContent, h.call(http.MethodDelete, location, "").status)
	require.Equal(t, "2", h.get(version+"/components").text("totalCount"))
	require.Equal(t, "NOT_IN_VIOLATION", h.get(version+"/policy-status").text("overallStatus"))
}

func TestProjectsAndVersions(t *testing.T) {
	h := open(t, t.TempDir())
	a := h.call(http.MethodPost, "/api/projects", `{"name":"P","description":"d","versionRequest":{"versionName":"1","phase":"RELEASED","distribution":"SAAS"}}`)
	require.Equal(t, http.StatusCreated, a.status)
	require.Empty(t, a.body)
	project := a.header.Get("Location")
	require.Equal(t, "d", h.get(project).text("description"))
	a = h.call(http.MethodPost, project+"/versions", `{"versionName":"2"}`)
	require.Equal(t, http.StatusCreated, a.status)
	version := a.header.Get("Location")
	require.Equal(t, "2", h.get(version).text("versionName"))
	for name, row := range map[string]struct {
		at, body, message string
		status            int
	}{
		"project again":      {"/api/projects", `{"name":"P"}`, "exists already", 412},
		"version again":      {project + "/versions", `{"versionName":"2"}`, "exists already", 412},
		"no name":            {"/api/projects", `{}`, "name is missing", 400},
		"no version name":    {project + "/versions", `{}`, "versionName is missing", 400},
		"no such phase":      {project + "/versions", `{"versionName":"3","phase":"SOON"}`, "PLANNING", 400},
		"half a new project": {"/api/projects", `{"name":"Q","versionRequest":{"versionName":"1","distribution":"NONE"}}`, "EXTERNAL", 400},
		"no such project":    {"/api/projects/none/versions", `{"versionName":"3"}`, "there is no project", 404},
		"no JSON":            {"/api/projects", `name`, "not the JSON", 400},
	} {
		t.Run(name, func(t *testing.T) {
			a := h.call(http.MethodPost, row.at, row.body)
			require.Equal(t, row.status, a.status)
			require.Contains(t, a.text("errorMessage"), row.message)
		})
	}
	require.Equal(t, http.StatusUnsupportedMediaType, h.call(http.MethodPost, "/api/projects", `{"name":"R"}`, "Content-Type", "text/plain").status)
	require.Equal(t, "1", h.get("/api/projects").text("totalCount"), "a refused request leaves nothing behind")

	require.Equal(t, http.StatusNoContent, h.call(http.MethodDelete, version, "").status)
	require.Equal(t, http.StatusNotFound, h.call(http.MethodGet, version, "").status)
	require.Equal(t, http.StatusNotFound, h.call(http.MethodDelete, version, "").status)
	require.Equal(t, http.StatusNoContent, h.call(http.MethodDelete, project, "").status)
	require.Equal(t, http.StatusNotFound, h.call(http.MethodGet, project, "").status)
}
