package registry_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/registry"
)

func TestGate(t *testing.T) {
	refusal := func(status int, after string) *http.Response {
		resp := &http.Response{StatusCode: status, Header: http.Header{}}
		if after != "" {
			resp.Header.Set("Retry-After", after)
		}
		return resp
	}
	for name, row := range map[string]struct {
		answers []*http.Response
		// The wait is at least this long, and at most two and a half times as long.
		least time.Duration
	}{
		"nothing refused":                         {[]*http.Response{refusal(200, "")}, 0},
		"429 with a time":                         {[]*http.Response{refusal(429, "90")}, 90 * time.Second},
		"503 with a time":                         {[]*http.Response{refusal(503, "20")}, 20 * time.Second},
		"503 without one":                         {[]*http.Response{refusal(503, "")}, 0},
		"the longer time counts":                  {[]*http.Response{refusal(429, "60"), refusal(429, "10")}, 60 * time.Second},
		"an older answer changes nothing":         {[]*http.Response{refusal(429, "60"), refusal(200, "")}, 60 * time.Second},
		"429 again and again with a growing time": {[]*http.Response{refusal(429, ""), refusal(429, ""), refusal(429, "")}, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gate := registry.NewGate(2 * time.Minute)
				for _, answer := range row.answers {
					gate.Note("a.example", answer)
				}
				start := time.Now()
				require.NoError(t, gate.Wait(t.Context(), "b.example"))
				require.Zero(t, time.Since(start), "another host is not concerned")
				require.NoError(t, gate.Wait(t.Context(), "a.example"))
				waited := time.Since(start)
				require.GreaterOrEqual(t, waited, row.least)
				require.LessOrEqual(t, waited, row.least*5/2)
			})
		})
	}
}

func TestGateWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := registry.NewGate(time.Hour)
		gate.Note("a.example", &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"600"}}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, gate.Wait(ctx, "a.example"), context.DeadlineExceeded)
	})
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"":                              0,
		"120":                           2 * time.Minute,
		"-5":                            0,
		"soon":                          0,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute,
		"Fri, 02 Jan 2026 03:00:00 GMT": 0,
		"99999999999999":                24 * time.Hour,
		"Fri, 02 Jan 2126 03:00:00 GMT": 24 * time.Hour,
	} {
		require.Equal(t, want, registry.RetryAfter(header, now), header)
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("120")
	f.Add("Fri, 02 Jan 2026 03:05:05 GMT")
	f.Fuzz(func(t *testing.T, header string) {
		after := registry.RetryAfter(header, time.Now())
		require.GreaterOrEqual(t, after, time.Duration(0))
		require.LessOrEqual(t, after, 24*time.Hour)
	})
}
