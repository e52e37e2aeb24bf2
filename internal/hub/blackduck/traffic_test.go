package blackduck_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

// TestRedirectWithinHub: 308 keeps method and body, also of the login, and the query of its target.
func TestRedirectWithinHub(t *testing.T) {
	moved := func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/moved") {
			return false
		}
		u := *r.URL
		u.Path += "/moved"
		http.Redirect(w, r, u.String(), http.StatusPermanentRedirect)
		return true
	}
	var deleted atomic.Int32
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case moved(w, r):
		case r.URL.Path == "/j_spring_security_check/moved":
			if r.PostFormValue("j_username") != "sysadmin" || r.PostFormValue("j_password") != testPassword {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			http.SetCookie(w, &http.Cookie{Name: "AUTHORIZATION_BEARER", Value: "v", Secure: true, HttpOnly: true})
			w.Header().Set("X-CSRF-TOKEN", "c")
			w.WriteHeader(http.StatusNoContent)
		case r.URL.Path == "/api/current-version/moved":
			writeJSON(w, `{"version": "2025.1.0"}`)
		case r.Method == http.MethodDelete && r.Header.Get("X-CSRF-TOKEN") == "c":
			deleted.Add(1)
			w.WriteHeader(http.StatusNoContent)
		case r.URL.Query().Get("q") == "name:"+sampleName:
			writeJSON(w, emptyList)
		default:
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	hub := newFakeHub(t, nil)
	hub.Config.Handler = handler
	client := newClient(t, passwordOptions(t, hub.Server))
	_, err := client.FindScan(t.Context(), sampleName)
	require.NoError(t, err)
	require.NoError(t, client.DeleteVersion(t.Context(), hub.URL+sampleVersion))
	require.EqualValues(t, 1, deleted.Load())
}

// TestCredentialsStayHome lets the hub point everywhere: into links, and by redirects. Nothing arrives at the other host.
func TestCredentialsStayHome(t *testing.T) {
	var visits atomic.Int32
	other := newFakeHub(t, nil)
	other.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) })
	var mu sync.Mutex
	var paths []string
	hub := newFakeHub(t, nil)
	hub.serve = func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		paths = append(paths, r.URL.Path)
		mu.Unlock()
		switch r.URL.Path {
		case "/api/codelocations":
			writeJSON(w, fmt.Sprintf(`{"totalCount": 1, "items": [{"name": %q, "mappedProjectVersion": %q, "_meta": {"href": %q, "links": [
				{"rel": "latest-scan", "href": %q}]}}]}`, sampleName, other.URL+sampleVersion, other.URL+sampleLocation, other.URL+"/api/elsewhere"))
		case sampleLocation + "/latest-scan-summary":
			http.Redirect(w, r, other.URL+r.URL.Path, http.StatusPermanentRedirect)
		}
	}
	options := tokenOptions(t, hub.Server)
	options.Transport = insecureTransport(t)
	_, err := newClient(t, options).FindScan(t.Context(), sampleName)
	requireFailure(t, err, failureCase{symptom: "redirect elsewhere", status: 308, class: model.Invalid})
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, []string{"/api/codelocations", sampleLocation + "/latest-scan-summary"}, paths)
	require.Zero(t, visits.Load())
}

// TestPaging reads 2,300 neighbours from a hub that cuts pages to 1,000 and forgets the session in the middle.
func TestPaging(t *testing.T) {
	const neighbours, largest = 2300, 1000
	var forgotten atomic.Bool
	hub := newFakeHub(t, nil)
	hub.serve = func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/api/codelocations":
		case strings.HasSuffix(r.URL.Path, "latest-scan-summary"):
			writeJSON(w, `{"scanState": "STARTED", "_meta": {"href": "/api/scan-summaries/1"}}`)
			return
		default:
			w.WriteHeader(http.StatusNotFound)
			return
		}
		offset := number(t, r.URL.Query(), "offset")
		if offset == largest && forgotten.CompareAndSwap(false, true) {
			hub.forget()
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var items []string
		for i := offset; i < min(offset+min(number(t, r.URL.Query(), "limit"), largest), neighbours); i++ {
			name := fmt.Sprintf("%s-%d", sampleName, i)
			if i == neighbours-1 {
				name = sampleName
			}
			items = append(items, fmt.Sprintf(`{"name": %q, "mappedProjectVersion": %q, "_meta": {"href": "/api/codelocations/c%d"}}`, name, sampleVersion, i))
		}
		writeJSON(w, fmt.Sprintf(`{"totalCount": %d, "items": [%s]}`, neighbours, strings.Join(items, ",")))
	}
	scan, err := newClient(t, tokenOptions(t, hub.Server)).FindScan(t.Context(), sampleName)
	require.NoError(t, err)
	require.Equal(t, hub.URL+"/api/codelocations/c2299", scan.CodeLocationURL)
	require.Equal(t, model.HubScanInProgress, scan.State)
	require.Equal(t, 2, hub.loginCount())
}

func number(t *testing.T, query url.Values, name string) int {
	t.Helper()
	n, err := strconv.Atoi(query.Get(name))
	if err != nil {
		t.Errorf("query %s: %v", name, err) // on the server's goroutine, where require may not stop
	}
	return n
}

// TestShortPages: a hub may cut pages to any size; the driver goes on by what it got.
func TestShortPages(t *testing.T) {
	hub := newFakeHub(t, nil)
	hub.serve = func(w http.ResponseWriter, r *http.Request) {
		offset := number(t, r.URL.Query(), "offset")
		writeJSON(w, fmt.Sprintf(`{"totalCount": 7, "items": [{"name": "scan-%d", "_meta": {"href": "/api/codelocations/%d"}}]}`, offset, offset))
	}
	names, err := newClient(t, tokenOptions(t, hub.Server)).ScanNames(t.Context(), hub.URL+sampleVersion)
	require.NoError(t, err)
	require.Equal(t, []string{"scan-0", "scan-1", "scan-2", "scan-3", "scan-4", "scan-5", "scan-6"}, names)
}
