package builtin_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin"
	"github.com/perceptor/perceptor/internal/hub/builtin/feed/feedtest"
	"github.com/perceptor/perceptor/model"
)

const interval = time.Hour

// following opens a hub that updates itself from a bucket.
func following(t *testing.T, dir string, b *feedtest.Bucket) *testHub {
	return open(t, dir, func(o *builtin.Options) { o.Updates, o.UpdateInterval = b.URL, interval })
}

func published(id, ecosystem, name, fixed string, at time.Time) feedtest.Record {
	text := regexp.MustCompile(`"modified":"[^"]*"`).ReplaceAllString(record(id, ecosystem, name, fixed, criticalVector), `"modified":"`+at.Format(time.RFC3339)+`"`)
	return feedtest.Record{ID: id, Text: text, Modified: at}
}

// basedOn is the coverage of the one version of a scan.
func (h *testHub) basedOn(scan string) (c model.Coverage) {
	h.t.Helper()
	_, version := h.location(scan)
	h.decode(version+"/coverage", &c)
	return c
}

func (h *testHub) status(scan string) string {
	h.t.Helper()
	_, version := h.location(scan)
	return h.get(version + "/policy-status").text("overallStatus")
}

// eventually waits while the hub works.
func (h *testHub) eventually(what string, ok func() bool) {
	h.t.Helper()
	require.Eventually(h.t, ok, patience, 5*time.Millisecond, what)
}

// scanClean scans an image with one npm package that no record is about.
func (h *testHub) scanClean(name string) {
	h.t.Helper()
	h.scan(upload{project: name, version: "v", scan: name, document: document("pkg:npm/fine@1.0.0")})
}

// raw reads a page with the API token.
func (h *testHub) raw(path string) []byte {
	h.t.Helper()
	request, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, h.base+path, nil)
	require.NoError(h.t, err)
	request.Header.Set("Authorization", "token "+h.token())
	answer, err := h.client.Do(request)
	require.NoError(h.t, err)
	defer func() { _ = answer.Body.Close() }()
	require.Equal(h.t, http.StatusOK, answer.StatusCode)
	text, err := io.ReadAll(answer.Body)
	require.NoError(h.t, err)
	return text
}

func paths(seen []feedtest.Request) (all []string) {
	for _, r := range seen {
		all = append(all, r.Path)
	}
	return all
}

// TestAHubLoadsWhatItsImagesNeed: unknown while the data are being loaded, judged when they are there, without a scan; then kept
// up to date by its changes alone.
func TestAHubLoadsWhatItsImagesNeed(t *testing.T) {
	bucket, released := feedtest.New(t), make(chan struct{})
	at := newClock().Now().Add(-time.Hour).Truncate(time.Second)
	bad, other := published("TEST-1", "npm", "rotten", "1.2.0", at), published("TEST-2", "npm", "other", "2.0.0", at)
	bucket.Publish(t, "npm", bad, other)
	bucket.Publish(t, "PyPI", published("TEST-9", "PyPI", "p", "1.0", at))
	bucket.Break("npm/all.zip", func(w http.ResponseWriter, r *http.Request) {
		<-released
		feedtest.Serve(w, r, bucket.File("npm/all.zip"))
	})
	h := following(t, t.TempDir(), bucket)
	h.scanClean("clean")
	require.Equal(t, "UNKNOWN", h.status("clean"))
	require.Equal(t, []model.NotAssessed{{Reason: model.DataLoading, Count: 1}}, h.basedOn("clean").NotAssessed)
	require.Contains(t, h.basedOn("clean").Reason, "data is being loaded")
	close(released)
	h.eventually("the verdict with the data", func() bool { return h.status("clean") == "NOT_IN_VIOLATION" })
	got := h.basedOn("clean")
	require.True(t, got.Data[0].Complete)
	require.Equal(t, bucket.URL, got.Data[0].Source)
	require.Equal(t, h.clock.Now().UTC(), got.Data[0].AsOf)
	require.Equal(t, []string{"/npm/all.zip"}, paths(bucket.Requests()), "no image needs the others")

	text := string(h.raw("/metrics"))
	require.Contains(t, text, `perceptor_hub_data_complete{ecosystem="npm"} 1`)
	require.Contains(t, text, `perceptor_hub_data_age_seconds{ecosystem="npm"} 0`)
	require.Contains(t, text, `perceptor_hub_update_failures_total{ecosystem="npm"} 0`)
	require.Contains(t, text, "perceptor_hub_update_bytes_total ")

	// A check that finds the list as it was renews the data; the first one sees the list for the first time.
	check := func() []feedtest.Request {
		h.clock.Advance(interval)
		require.NoError(t, h.login(), "logins end too")
		h.eventually("the next check", func() bool { return h.basedOn("clean").Data[0].AsOf.Equal(h.clock.Now().UTC()) })
		return bucket.Requests()
	}
	require.Equal(t, []string{"/npm/modified_id.csv"}, paths(check()))
	again := check()
	require.Equal(t, []string{"/npm/modified_id.csv"}, paths(again))
	require.Equal(t, http.StatusNotModified, again[0].Status)

	// One changed, one gone, one new: only what changed is fetched.
	later := h.clock.Now().Truncate(time.Second)
	bucket.Publish(t, "npm", published("TEST-3", "npm", "fine", "3.0.0", later), published("TEST-1", "npm", "rotten", "1.3.0", later))
	require.Equal(t, []string{"/npm/TEST-1.json", "/npm/TEST-3.json", "/npm/modified_id.csv"}, sorted(paths(check())))
	require.Equal(t, "IN_VIOLATION", h.status("clean"))
	require.Equal(t, "2", h.get("/internal/vulnerability-data").text("records"), "the record that is gone is gone here too")
	// Withdrawn at the source, so judged clean without a scan.
	bucket.Publish(t, "npm", published("TEST-1", "npm", "rotten", "1.3.0", later))
	check()
	require.Equal(t, "NOT_IN_VIOLATION", h.status("clean"))
}

func sorted(all []string) []string {
	return slices.Sorted(slices.Values(all))
}

// TestUpdatesThatFail: each fault leaves the image unknown with another reason than "is being loaded", and the repaired source is
// used at the time that the hub named.
func TestUpdatesThatFail(t *testing.T) {
	whole := func(b *feedtest.Bucket) []byte { return b.File("npm/all.zip") }
	for name, row := range map[string]struct {
		fault func(b *feedtest.Bucket) http.HandlerFunc
		says  string
		wait  time.Duration
	}{
		"too many requests": {func(*feedtest.Bucket) http.HandlerFunc { return feedtest.Status(429, "Retry-After", "600") }, "429", 10 * time.Minute},
		"broken server":     {func(*feedtest.Bucket) http.HandlerFunc { return feedtest.Status(500) }, "500", time.Minute},
		"cut off":           {func(b *feedtest.Bucket) http.HandlerFunc { return feedtest.Cut(whole(b), 20) }, "after 20 bytes", time.Minute},
		"no zip": {func(*feedtest.Bucket) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) { feedtest.Serve(w, r, []byte("no zip at all")) }
		}, "not a whole zip archive", time.Minute},
		"wrong checksum": {func(b *feedtest.Bucket) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Goog-Hash", "md5=AAAAAAAAAAAAAAAAAAAAAA==")
				_, _ = w.Write(whole(b))
			}
		}, "checksum", time.Minute},
		"another host": {func(*feedtest.Bucket) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://osv.example/all.zip", http.StatusFound)
			}
		}, "is another host", time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			bucket := feedtest.New(t)
			bucket.Publish(t, "npm", published("TEST-1", "npm", "rotten", "1.2.0", newClock().Now()))
			bucket.Break("npm/all.zip", row.fault(bucket))
			h := following(t, t.TempDir(), bucket)
			h.scanClean("clean")
			h.eventually("the failure to be shown", func() bool {
				return strings.Contains(string(h.get("/internal/vulnerability-data").body), row.says)
			})
			h.eventually("the reason to change", func() bool {
				return len(h.basedOn("clean").NotAssessed) == 1 && h.basedOn("clean").NotAssessed[0].Reason == model.NoData
			})
			require.Equal(t, "UNKNOWN", h.status("clean"))
			bucket.Break("npm/all.zip", nil)
			before := len(bucket.Requests())
			require.NotZero(t, before)
			h.clock.Advance(row.wait - time.Second)
			time.Sleep(50 * time.Millisecond)
			require.Empty(t, bucket.Requests(), "not before its time")
			h.clock.Advance(time.Second)
			h.eventually("the repaired source to be used", func() bool { return h.status("clean") == "NOT_IN_VIOLATION" })
		})
	}
}

// TestADownloadGoesOn after a broken connection and a restart of the hub, where it was.
func TestADownloadGoesOn(t *testing.T) {
	bucket, dir := feedtest.New(t), t.TempDir()
	bucket.Publish(t, "npm", published("TEST-1", "npm", "rotten", "1.2.0", newClock().Now()))
	whole := bucket.File("npm/all.zip")
	bucket.Break("npm/all.zip", feedtest.Cut(whole, len(whole)/2))
	h := following(t, dir, bucket)
	h.scanClean("clean")
	h.eventually("the cut", func() bool { return len(bucket.Requests()) > 0 })
	h.eventually("the failure to be noted", func() bool {
		return strings.Contains(string(h.get("/internal/vulnerability-data").body), `"failures":1`)
	})
	h.stop()
	bucket.Break("npm/all.zip", nil)
	h = open(t, dir, func(o *builtin.Options) {
		o.Updates, o.UpdateInterval = bucket.URL, interval
		later := newClock()
		later.Advance(2 * time.Minute)
		o.Clock = later
	})
	h.eventually("the rest", func() bool { return h.status("clean") == "NOT_IN_VIOLATION" })
	seen := bucket.Requests()
	require.Len(t, seen, 1)
	require.Equal(t, http.StatusPartialContent, seen[0].Status)
	left, err := os.ReadDir(filepath.Join(dir, "hub.db.loading"))
	require.NoError(t, err)
	require.Empty(t, left, "a finished download leaves nothing behind")
}

// TestWhatAnOperatorLoadedStays while it is newer than the interval, and no image makes the hub fetch what it cannot judge.
func TestWhatAnOperatorLoadedStays(t *testing.T) {
	bucket := feedtest.New(t)
	h := following(t, t.TempDir(), bucket)
	h.scanClean("clean")
	h.eventually("a try", func() bool { return len(bucket.Requests()) > 0 })
	a := h.call(http.MethodPut, "/internal/vulnerability-data?complete=true&asOf="+h.clock.Now().UTC().Format(time.RFC3339),
		record("TEST-1", "npm", "rotten", "1.2.0", criticalVector))
	require.Equal(t, http.StatusOK, a.status)
	h.eventually("the verdict", func() bool { return h.status("clean") == "NOT_IN_VIOLATION" })
	bucket.Requests()
	h.clock.Advance(interval - 2*time.Second)
	time.Sleep(50 * time.Millisecond)
	require.Empty(t, bucket.Requests())
}
