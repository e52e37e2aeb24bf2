package builtin_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNotificationSpans(t *testing.T) {
	h := open(t, t.TempDir())
	at := map[string]string{}
	for _, name := range []string{"a", "b", "c"} {
		at[name] = h.clock.Now().Format("2006-01-02T15:04:05.000Z")
		require.Equal(t, http.StatusCreated, h.call(http.MethodPost, "/api/projects", `{"name":"`+name+`"}`).status)
		require.Equal(t, http.StatusCreated, h.call(http.MethodPost, "/api/projects", `{"name":"`+name+` again"}`).status)
		h.clock.Advance(time.Second)
	}
	names := func(query string) (all string) {
		for _, item := range h.list("/api/notifications" + query).Items {
			all += item["content"].(map[string]any)["projectName"].(string) + "; "
		}
		return all
	}
	for name, row := range map[string]struct{ query, want string }{
		"newest first, all":   {"", "c again; c; b again; b; a again; a; "},
		"from, inclusive":     {"?startDate=" + at["b"], "c again; c; b again; b; "},
		"to, inclusive":       {"?endDate=" + at["b"], "b again; b; a again; a; "},
		"one moment":          {"?startDate=" + at["b"] + "&endDate=" + at["b"], "b again; b; "},
		"between":             {"?startDate=2026-01-02T03:04:05.679Z&endDate=2026-01-02T03:04:06.677Z", ""},
		"within milliseconds": {"?startDate=2026-01-02T03:04:06.6780001Z&endDate=2026-01-02T03:04:07.6780001Z", "c again; c; "},
		"before all":          {"?endDate=2026-01-01", ""},
		"after all":           {"?startDate=2027-01-01", ""},
		"a date":              {"?startDate=2026-01-02&endDate=2026-01-03", "c again; c; b again; b; a again; a; "},
		"another zone":        {"?startDate=2026-01-02T04:04:07.678%2B01:00", "c again; c; "},
		"a page":              {"?limit=2&offset=1", "c; b again; "},
		"of a type":           {"?filter=notificationType:PROJECT&filter=notificationType:VULNERABILITY&limit=1", "c again; "},
		"of another type":     {"?filter=notificationType:BOM_EDIT", ""},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, row.want, names(row.query)) })
	}
	for _, query := range []string{"?startDate=yesterday", "?endDate=-1", "?startDate=2026-01-02&endDate=2026-01-01", "?filter=notificationType:NEWS", "?filter=owner:me"} {
		a := h.call(http.MethodGet, "/api/notifications"+query, "")
		require.Equal(t, http.StatusBadRequest, a.status, query)
		require.NotEmpty(t, a.text("errorMessage"))
	}
	first := h.list("/api/notifications?limit=1").Items[0]
	href := first["_meta"].(map[string]any)["href"].(string)
	require.JSONEq(t, jsonOf(first), string(h.get(href).body))
}

// TestNotificationsAreDropped after thirty days, by the housekeeping.
func TestNotificationsAreDropped(t *testing.T) {
	h := open(t, t.TempDir())
	require.Equal(t, http.StatusCreated, h.call(http.MethodPost, "/api/projects", `{"name":"old"}`).status)
	h.clock.Advance(29 * 24 * time.Hour)
	require.NoError(t, h.login())
	require.Equal(t, http.StatusCreated, h.call(http.MethodPost, "/api/projects", `{"name":"new"}`).status)
	h.clock.Advance(25 * time.Hour)
	require.NoError(t, h.login())
	require.Eventually(t, func() bool { return h.call(http.MethodGet, "/api/notifications", "").text("totalCount") == "1" }, patience, time.Millisecond)
}

// TestDeletedVersionIsTold: the driver learns from it that there is nothing to read any more.
func TestDeletedVersionIsTold(t *testing.T) {
	h := open(t, t.TempDir())
	h.scan(upload{project: "p", version: "v", scan: "name", document: document("pkg:npm/a@1.0.0")})
	_, version := h.location("name")
	require.Equal(t, http.StatusNoContent, h.call(http.MethodDelete, version, "").status)
	content := h.list("/api/notifications?filter=notificationType:PROJECT_VERSION&limit=1").Items[0]["content"].(map[string]any)
	require.Equal(t, "DELETE", content["operationType"])
	require.Equal(t, version, content["projectVersion"])
}

// TestScanWithoutComponentsTellsNothing, as no BOM_COMPUTED comes for a scan without matches.
func TestScanWithoutComponentsTellsNothing(t *testing.T) {
	h := open(t, t.TempDir())
	h.scan(upload{project: "p", version: "v", scan: "empty", document: document()})
	require.Equal(t, 0, h.list("/api/notifications?filter=notificationType:VERSION_BOM_CODE_LOCATION_BOM_COMPUTED").Total)
	_, version := h.location("empty")
	require.Equal(t, "UNKNOWN", h.get(version+"/policy-status").text("overallStatus"), "nothing that is recognised says nothing")
	require.Equal(t, "nothing recognised in the image", h.get(version+"/policy-status").text("overallStatusReason"))
}
