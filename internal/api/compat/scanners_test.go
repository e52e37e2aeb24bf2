package compat_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/internal/api/apitest"
	"github.com/perceptor/perceptor/internal/api/compat"
	"github.com/perceptor/perceptor/model"
)

// offer is an image that waits for a scanner of others.
func offer(digit byte) api.ExternalScan {
	name := model.Name{Repository: "registry.example/app", Tag: "1"}
	d := apitest.DigestOf(digit)
	return api.ExternalScan{Digest: d, Name: name, Hub: "main", HubNames: model.DefaultHubNames(name, d), Priority: 2}
}

// count is the value of a metric of /metrics.
func count(t *testing.T, s *apitest.Served, line string) string {
	t.Helper()
	for each := range strings.SplitSeq(s.As("", http.MethodGet, "/metrics", "").Body, "\n") {
		if value, found := strings.CutPrefix(each, line+" "); found {
			return value
		}
	}
	return ""
}

func finished(digit byte, err string) string {
	return `{"ImageSpec":{"Repository":"app","Sha":"` + apitest.Sha(digit) + `","Password":"x"},"Err":"` + err + `"}`
}

func TestNextImage(t *testing.T) {
	s := serve(t)
	got := s.As(apitest.ScannerToken, http.MethodPost, "/nextimage", "")
	require.Equal(t, http.StatusOK, got.Status)
	require.JSONEq(t, `{"ImageSpec":null}`, got.Body)
	s.Offers = append(s.Offers, offer('a'))
	got = s.As(apitest.ScannerToken, http.MethodPost, "/nextimage", `{"anything": [`)
	require.Equal(t, http.StatusOK, got.Status, got.Body)
	require.Equal(t, "application/json", got.Header.Get("Content-Type"))
	require.JSONEq(t, `{"ImageSpec":{"Repository":"registry.example/app","Tag":"1","Sha":"`+apitest.Sha('a')+`","Scheme":"https","Domain":"main.example","Port":8443,
		"User":"sysadmin","Password":"not-for-logs","BlackDuckProjectName":"registry.example/app","BlackDuckProjectVersionName":"1-`+apitest.Sha('a')[:20]+`",
		"BlackDuckScanName":"`+apitest.Sha('a')+`","Priority":2}}`, got.Body)
	require.NotContains(t, s.Log.String(), "not-for-logs")
	require.Equal(t, "1", count(t, s, `perceptor_core_external_images_total{outcome="handed-out"}`))

	s.Offers, s.NoLogin = append(s.Offers, offer('b')), errors.New("open /etc/hub-password: no such file")
	got = s.As(apitest.ScannerToken, http.MethodPost, "/nextimage", "")
	require.Equal(t, http.StatusServiceUnavailable, got.Status)
	require.NotContains(t, got.Body, "hub-password")
	require.Len(t, s.Offers, 1, "the image is given back")
	require.Contains(t, s.Log.String(), "no such file")
	s.NoLogin = nil
	require.Contains(t, s.As(apitest.OtherScannerToken, http.MethodPost, "/nextimage", "").Body, apitest.Sha('b'))
}

func TestNextImageOfTheFirstReleases(t *testing.T) {
	s := apitest.Serve(t, compat.API(true, model.Platform{}))
	s.Offers = append(s.Offers, offer('a'))
	got := s.As(apitest.ScannerToken, http.MethodPost, "/nextimage", "")
	require.Equal(t, http.StatusOK, got.Status, got.Body)
	require.Equal(t, `{"ImageSpec":{"ImageName":"registry.example/app","PullSpec":"registry.example/app@sha256:`+apitest.Sha('a')+`","Sha":"`+apitest.Sha('a')+
		`","HubProjectName":"registry.example/app","HubProjectVersionName":"1-`+apitest.Sha('a')[:20]+`","HubScanName":"`+apitest.Sha('a')+`"}}`, got.Body)
	require.Equal(t, `{"ImageSpec":null}`, s.As(apitest.ScannerToken, http.MethodPost, "/nextimage", "").Body)
}

// TestFinishedScan reports once, twice, on the image of another scanner, and on an image that no one scans.
func TestFinishedScan(t *testing.T) {
	s := serve(t)
	s.HandOut(apitest.DigestOf('a'), "scanner-1")
	s.HandOut(apitest.DigestOf('b'), "scanner-2")
	for _, row := range []struct {
		what, body string
		status     int
		outcome    string
	}{
		{"of another scanner", finished('b', ""), http.StatusConflict, "other-scanner"},
		{"its own", finished('a', ""), http.StatusOK, "accepted"},
		{"twice", finished('a', ""), http.StatusOK, "not-waited-for"},
		{"unknown", finished('c', ""), http.StatusNotFound, "unknown-image"},
	} {
		got := s.As(apitest.ScannerToken, http.MethodPost, "/finishedscan", row.body)
		require.Equal(t, row.status, got.Status, "%s: %s", row.what, got.Body)
		require.Equal(t, "1", count(t, s, `perceptor_core_external_reports_total{outcome="`+row.outcome+`"}`), row.what)
	}
	require.Equal(t, http.StatusOK, s.As(apitest.OtherScannerToken, http.MethodPost, "/finishedscan", finished('b', "exit status 74")).Status)
	require.Equal(t, []string{"finished " + string(apitest.DigestOf('a')), "failed " + string(apitest.DigestOf('b')) + ": exit status 74"}, s.Asked)
	for body, says := range map[string]string{
		"": "empty", "{": "not JSON", "[]": "want a JSON object", "{}": "ImageSpec is missing", `{"ImageSpec":null}`: "ImageSpec is missing",
		`{"ImageSpec":{}}`: "wrong Sha", `{"ImageSpec":{"Sha":"sha"}}`: "wrong Sha", `{"ImageSpec":{"Sha":7}}`: "want a string", `{"ImageSpec":[]}`: "ImageSpec",
		`{"ImageSpec":{"Sha":"` + apitest.Sha('a') + `"},"Err":{}}`: "Err",
	} {
		got := s.As(apitest.ScannerToken, http.MethodPost, "/finishedscan", body)
		require.Equal(t, http.StatusBadRequest, got.Status, body)
		require.Contains(t, got.Body, says, body)
	}
	s.Down = apitest.ErrDown
	require.Equal(t, http.StatusServiceUnavailable, s.As(apitest.ScannerToken, http.MethodPost, "/finishedscan", finished('a', "")).Status)
	require.Equal(t, http.StatusServiceUnavailable, s.As(apitest.ScannerToken, http.MethodPost, "/nextimage", "").Status)
}

// TestFinishedScanOfTheFirstReleases: their scanners repeat a report for ever, without a pause, until the status is 200.
func TestFinishedScanOfTheFirstReleases(t *testing.T) {
	s := apitest.Serve(t, compat.API(true, model.Platform{}))
	s.HandOut(apitest.DigestOf('b'), "scanner-2")
	for body, says := range map[string]string{finished('b', ""): "another scanner", finished('c', ""): "no scan", "{}": "ImageSpec is missing"} {
		got := s.As(apitest.ScannerToken, http.MethodPost, "/finishedscan", body)
		require.Equal(t, http.StatusOK, got.Status, "nothing that can never be taken is sent again")
		require.Contains(t, got.Body, says)
	}
	require.Empty(t, s.Asked)
	began := time.Now()
	s.Down = apitest.ErrDown
	require.Equal(t, http.StatusServiceUnavailable, s.As(apitest.ScannerToken, http.MethodPost, "/finishedscan", finished('b', "")).Status, "this may be taken later")
	require.Greater(t, time.Since(began), time.Second, "the next request comes at once")
}
