package builtin_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin"
	"github.com/perceptor/perceptor/internal/hub/builtin/fault"
)

func uploadOf(scan string) upload {
	return upload{project: "p", version: scan, scan: scan, document: document("pkg:npm/a@1.0.0")}
}

// TestDropAfterAccept: the sender hears nothing, and the scan is there.
func TestDropAfterAccept(t *testing.T) {
	h := open(t, t.TempDir())
	h.faults(`{"drop":{"count":1}}`)
	u := uploadOf("name")
	u.attempt = "1-1"
	_, err := h.client.Do(u.request(h))
	require.Error(t, err)
	location, _ := h.location("name")
	again := h.scan(u)
	require.Equal(t, again.header.Get("Location"), h.base+"/api/scans/"+lastPart(h.get(location+"/latest-scan-summary").text("_meta", "href")))
	stats, err := h.Stats()
	require.NoError(t, err)
	require.Equal(t, []uint64{2, 1, 0, 1}, []uint64{stats.UploadsStarted, stats.UploadsAccepted, stats.UploadsRefused, stats.FaultHits[fault.Drop]})
}

func lastPart(at string) string {
	for i := len(at) - 1; i >= 0; i-- {
		if at[i] == '/' {
			return at[i+1:]
		}
	}
	return at
}

// TestAcceptThenLose: nothing is left of the scan when its time has come, and a new one works.
func TestAcceptThenLose(t *testing.T) {
	h := open(t, t.TempDir(), func(o *builtin.Options) { o.ScanTime = time.Minute })
	h.faults(`{"lose":{"count":1}}`)
	a := h.upload(uploadOf("name"))
	require.Equal(t, http.StatusCreated, a.status)
	require.Equal(t, "STARTED", h.get(a.header.Get("Location")).text("scanState"))
	h.clock.Advance(time.Minute)
	require.Eventually(t, func() bool { return h.call(http.MethodGet, a.header.Get("Location"), "").status == http.StatusNotFound }, patience, time.Millisecond)
	require.Equal(t, "0", h.get("/api/codelocations?q=name:name").text("totalCount"))
	stats, err := h.Stats()
	require.NoError(t, err)
	require.Equal(t, []uint64{1, 1, 0, 0}, []uint64{stats.ScansLost, stats.ScansFailed, stats.ScansSucceeded, stats.InProgress})

	again := h.upload(uploadOf("name"))
	h.clock.Advance(time.Minute)
	h.awaitScan(again.header.Get("Location"))
	all, active, err := h.StoredScans()
	require.NoError(t, err)
	require.Equal(t, []int{1, 0}, []int{all, active})
}

// TestLostScanLeavesOlderOnes: a code location with an earlier scan stays as it was.
func TestLostScanLeavesOlderOnes(t *testing.T) {
	h := open(t, t.TempDir())
	first := h.scan(uploadOf("name"))
	h.faults(`{"lose":{}}`)
	a := h.upload(uploadOf("name"))
	require.Eventually(t, func() bool { return h.call(http.MethodGet, a.header.Get("Location"), "").status == http.StatusNotFound }, patience, time.Millisecond)
	location, version := h.location("name")
	require.Equal(t, lastPart(first.header.Get("Location")), lastPart(h.get(location+"/latest-scan-summary").text("_meta", "href")))
	require.Equal(t, "1", h.get(version+"/components").text("totalCount"))
}

// TestSlowScans: each scan has its own time between the bounds, the same in every run of the same seed.
func TestSlowScans(t *testing.T) {
	times := func() map[string]time.Duration {
		h := open(t, t.TempDir())
		h.faults(`{"slow":{"min":"2s","max":"12s"}}`)
		places, took := map[string]string{}, map[string]time.Duration{}
		for i := range 5 {
			name := fmt.Sprintf("scan-%d", i)
			places[name] = h.upload(uploadOf(name)).header.Get("Location")
		}
		for passed := time.Duration(0); passed <= 12*time.Second; passed += 500 * time.Millisecond {
			for name, place := range places {
				if _, known := took[name]; !known && h.get(place).text("scanState") == "SUCCESS" {
					took[name] = passed
				}
			}
			h.clock.Advance(500 * time.Millisecond)
			settle(h)
		}
		return took
	}
	first := times()
	require.Len(t, first, 5)
	different := map[time.Duration]bool{}
	for name, took := range first {
		require.GreaterOrEqual(t, took, 2*time.Second, name)
		different[took] = true
	}
	require.Greater(t, len(different), 1)
	require.Equal(t, first, times())
}

// settle waits until every scan that is due has ended.
func settle(h *testHub) {
	h.t.Helper()
	require.Eventually(h.t, func() bool { return h.DueScans() == 0 }, patience, time.Millisecond)
}

func TestStuckScans(t *testing.T) {
	for name, free := range map[string]func(h *testHub){
		"until another setting": func(h *testHub) { h.faults(`{}`) },
		"until their time":      func(h *testHub) { h.clock.Advance(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, t.TempDir())
			h.faults(`{"stuck":{"count":1,"for":"1h"}}`)
			stuck := h.upload(uploadOf("stuck")).header.Get("Location")
			h.scan(uploadOf("free"))
			require.Eventually(t, func() bool { return h.clock.Waits(time.Hour) == 1 }, patience, time.Millisecond)
			location, _ := h.location("stuck")
			require.Equal(t, "STARTED", h.get(stuck).text("scanState"))
			require.Contains(t, string(h.get(location+"/scan-summaries").body), "BUILDING_BOM")
			free(h)
			h.awaitScan(stuck)
		})
	}
}

// TestStuckScanAfterRestart: the switches do not outlive the process, so nothing is stuck any more.
func TestStuckScanAfterRestart(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir)
	h.faults(`{"stuck":{}}`)
	h.upload(uploadOf("stuck"))
	h.stop()
	h = open(t, dir)
	location, _ := h.location("stuck")
	h.awaitScan(location + "/latest-scan-summary")
}

// TestCapacity: uploads beyond it are refused, one at a time or all at once, and taken again when a scan has ended.
func TestCapacity(t *testing.T) {
	h := open(t, t.TempDir(), func(o *builtin.Options) { o.ScanTime = time.Minute })
	h.faults(`{"capacity":{"scans":2,"retryAfter":"30s"}}`)
	statuses := make(chan int, 6)
	for i := range 6 {
		request := uploadOf(fmt.Sprintf("scan-%d", i)).request(h)
		go func() { statuses <- h.do(request).status }()
	}
	seen := map[int]int{}
	for range 6 {
		seen[<-statuses]++
	}
	require.Equal(t, map[int]int{http.StatusCreated: 2, http.StatusTooManyRequests: 4}, seen)
	a := h.upload(uploadOf("late"))
	require.Equal(t, "30", a.header.Get("Retry-After"))
	stats, err := h.Stats()
	require.NoError(t, err)
	require.Equal(t, map[string]uint64{"capacity": 5}, stats.UploadsRefusedBy)
	require.Equal(t, []uint64{5, 2}, []uint64{stats.UploadsRefused, stats.MaxInProgress})
	h.clock.Advance(time.Minute)
	settle(h)
	require.Equal(t, http.StatusCreated, h.upload(uploadOf("late")).status)
}
