//go:build e2e

package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

// quota is a registry that answers so many requests a second and refuses all others, as public registries do.
type quota struct {
	perSecond int
	lock      sync.Mutex
	second    time.Time
	answered  int
	refused   int
}

// allow reports whether one more request is answered in this second.
func (q *quota) allow(now time.Time) bool {
	q.lock.Lock()
	defer q.lock.Unlock()
	if now.Sub(q.second) >= time.Second {
		q.second, q.answered = now, 0
	}
	if q.answered++; q.answered <= q.perSecond {
		return true
	}
	q.refused++
	return false
}

// TestThrottlingRegistry pulls from a registry that refuses what is too much for it with 429: every image is complete in the end, was
// scanned once, and none of them has failed on the way.
func TestThrottlingRegistry(t *testing.T) {
	d := startDev(t)
	registry, err := url.Parse("http://" + d.Registry)
	require.NoError(t, err)
	q := &quota{perSecond: 3}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(registry) }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if q.allow(time.Now()) {
			proxy.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Retry-After", "1")
		http.Error(w, `{"errors":[{"code":"TOOMANYREQUESTS"}]}`, http.StatusTooManyRequests)
	}))
	t.Cleanup(server.Close)
	var digests []model.Digest
	for i := range 6 {
		reference, digest := d.PushRandom(t, fmt.Sprintf("throttled/image-%d", i), 1<<10)
		d.Observe(t, server.Listener.Addr().String()+strings.TrimPrefix(reference, d.Registry), digest)
		digests = append(digests, digest)
	}
	d.StartWorker(t, 0)
	for _, digest := range digests {
		d.AwaitVerdict(t, digest, 3*time.Minute)
		scan, err := d.Starter.Scans.View(t.Context(), digest)
		require.NoError(t, err)
		require.Equal(t, 1, scan.Attempt, "an earlier scan has failed")
		require.Equal(t, 1, d.Stats(t).ScansByName[digest.Hex()])
	}
	q.lock.Lock()
	defer q.lock.Unlock()
	require.NotZero(t, q.refused, "the registry refused nothing, so this shows nothing")
	t.Logf("%d requests were refused", q.refused)
}
