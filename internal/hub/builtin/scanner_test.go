package builtin_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAnotherScannersDocument: a hub without any data judges by the word of a scanner, names it and the age of its data, and
// takes the green away when these expire. The twin without the age is never green.
func TestAnotherScannersDocument(t *testing.T) {
	of := func(asOf, vulnerabilities string) string {
		if asOf != "" {
			asOf = `,"properties":[{"name":"perceptor:scanner:data-as-of","value":"` + asOf + `"}]`
		}
		return `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"metadata":{"tools":{"components":[{"type":"application","name":"trivy","version":"0.74.0"}]}` + asOf + `},
			"components":[{"bom-ref":"c","type":"library","name":"rotten","version":"1.0.0","purl":"pkg:npm/rotten@1.0.0"}],"vulnerabilities":[` + vulnerabilities + `]}`
	}
	const bad = `{"id":"CVE-1","ratings":[{"source":{"name":"nvd"},"severity":"critical","score":9.8}],"recommendation":"Upgrade rotten to version 1.2.0","affects":[{"ref":"c"}]}`
	h := open(t, t.TempDir())
	scan := func(name, document string) string {
		h.scan(upload{project: "p", version: name, scan: name, document: document})
		_, version := h.location(name)
		return version
	}
	violating := scan("violating", of("2026-01-02", bad))
	require.Equal(t, "IN_VIOLATION", h.overall(violating))
	finding := h.list(violating + "/vulnerable-bom-components").Items[0]["vulnerabilityWithRemediation"].(map[string]any)
	require.Equal(t, []any{"CVE-1", "CRITICAL", "1.2.0"}, []any{finding["vulnerabilityName"], finding["severity"], finding["fixedVersion"]})

	undated := scan("undated", of("", ""))
	require.Equal(t, "UNKNOWN", h.overall(undated))
	require.Contains(t, h.get(undated+"/policy-status").text("overallStatusReason"), "scanner data without a date")

	green := scan("green", of("2026-01-02", ""))
	require.Equal(t, "NOT_IN_VIOLATION", h.overall(green))
	require.Equal(t, "[map[asOf:2026-01-02T00:00:00Z complete:true ecosystem:npm source:scanner trivy 0.74.0]]", h.get(green+"/coverage").text("data"))
	h.clock.Advance(14 * 24 * time.Hour)
	require.NoError(t, h.login())
	require.Equal(t, "UNKNOWN", h.overall(green), "its data are too old now")

	lost := scan("lost", of("2026-01-16", strings.Replace(bad, `"ref":"c"`, `"ref":"d"`, 1)))
	require.Equal(t, "UNKNOWN", h.overall(lost))
	require.Contains(t, h.get(lost+"/policy-status").text("overallStatusReason"), "file unreadable")
	a := h.upload(upload{project: "p", version: "x", scan: "x", document: of("today", "")})
	require.Equal(t, http.StatusBadRequest, a.status)
	require.Contains(t, a.text("errorMessage"), "is not a time")

	h.except("doc", "", "exceptions: [{id: CVE-1, purl: pkg:npm/rotten, reason: r}]")
	require.Equal(t, "UNKNOWN", h.overall(violating), "accepted, and its data are too old")
	h.scan(upload{project: "p", version: "violating", scan: "violating", document: of("2026-01-16", bad)})
	require.Equal(t, "IN_VIOLATION_OVERRIDDEN", h.overall(violating), "the hub's exceptions hold for a scanner's findings too")
}
