package registry_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/registry"
	"github.com/perceptor/perceptor/model"
)

// handler may serve a request; it returns false to leave it to the registry.
type handler = func(http.ResponseWriter, *http.Request) bool

// only lets a fault happen to one blob or manifest.
func only(last string, fault handler) handler {
	return func(w http.ResponseWriter, r *http.Request) bool {
		return filepath.Base(r.URL.Path) == last && fault(w, r)
	}
}

// times lets a fault happen the first n times.
func times(n int64, fault handler) handler {
	var left atomic.Int64
	left.Store(n)
	return func(w http.ResponseWriter, r *http.Request) bool {
		if left.Load() <= 0 || !fault(w, r) {
			return false
		}
		left.Add(-1)
		return true
	}
}

// truncate announces a whole blob and breaks off after some bytes of it, without heeding ranges.
func truncate(content []byte, after int) handler {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		_, _ = w.Write(content[:after])
		return true
	}
}

func TestPullGetsOverPassingFaults(t *testing.T) {
	good, bad := layerOf(1, 200_000), layerOf(2, 600_000)
	content := contentOf(t, bad)
	serverError := func(status int) handler { return answer(status, nil, "oops") }
	for name, row := range map[string]struct {
		fault handler
		// extra is how many bytes of the layer are sent in vain.
		extra int64
	}{
		"500":                      {fault: times(2, serverError(500))},
		"503":                      {fault: times(4, serverError(503))},
		"429 without a time":       {fault: times(2, serverError(429))},
		"stream broken, resumed":   {fault: times(1, truncate(content, 400_000))},
		"stream broken repeatedly": {fault: times(3, truncate(content, 1000)), extra: 2000},
		"ranges ignored":           {fault: withoutRanges(times(1, truncate(content, 100_000)), content), extra: 100_000},
		"ranges refused":           {fault: refusingRanges(times(1, truncate(content, 100_000))), extra: 100_000},
		"another range sent":       {fault: wrongRange(times(1, truncate(content, 100_000)), content), extra: 100_000},
		"wrong bytes in the range": {fault: wrongBytes(times(1, truncate(content, 100_000)), content), extra: 600_000},
		"nothing more is sent":     {fault: times(1, stall(content[:300_000]))},
	} {
		t.Run(name, func(t *testing.T) {
			f, h := newFake(t), newHost(t, registry.Options{})
			digest := f.push(t, "app", "v1", imageOf(t, good, bad))
			f.misbehave(only(hashOf(t, bad).String(), row.fault))
			pulled, err := h.pull(t.Context(), f.host()+"/app", digest)
			require.NoError(t, err)
			require.Equal(t, int64(800_000)+row.extra, pulled.Bytes)
			require.Equal(t, int64(200_000), f.sentOf(hashOf(t, good)), "a finished layer is not fetched again")
			onlyTheTarIsLeft(t, h)
			sameLayers(t, h, good, bad)
		})
	}
}

func withoutRanges(first handler, content []byte) handler {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !first(w, r) {
			w.Header().Set("Content-Length", strconv.Itoa(len(content)))
			_, _ = w.Write(content)
		}
		return true
	}
}

func refusingRanges(first handler) handler {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if first(w, r) {
			return true
		}
		if r.Header.Get("Range") == "" {
			return false
		}
		w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		return true
	}
}

func wrongRange(first handler, content []byte) handler {
	second := times(1, func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes 5-%d/%d", len(content)-1, len(content)))
		w.WriteHeader(http.StatusPartialContent)
		return true
	})
	return func(w http.ResponseWriter, r *http.Request) bool { return first(w, r) || second(w, r) }
}

func wrongBytes(first handler, content []byte) handler {
	second := times(1, func(w http.ResponseWriter, r *http.Request) bool {
		var from int
		_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(content)-1, len(content)))
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(make([]byte, len(content)-from))
		return true
	})
	return func(w http.ResponseWriter, r *http.Request) bool { return first(w, r) || second(w, r) }
}

func stall(piece []byte) handler {
	return func(w http.ResponseWriter, r *http.Request) bool {
		_, _ = w.Write(piece)
		_ = http.NewResponseController(w.(*counted).ResponseWriter).Flush()
		<-r.Context().Done()
		return true
	}
}

func TestRetriesAreBounded(t *testing.T) {
	layer := layerOf(1, 1000)
	for name, fault := range map[string]handler{
		"500":           answer(500, nil, ""),
		"broken stream": truncate(contentOf(t, layer), 0),
	} {
		t.Run(name, func(t *testing.T) {
			f, h := newFake(t), newHost(t, registry.Options{})
			digest := f.push(t, "app", "v1", imageOf(t, layer))
			f.misbehave(only(hashOf(t, layer).String(), fault))
			_, err := h.pull(t.Context(), f.host()+"/app", digest)
			require.Equal(t, model.Transient, classOf(t, err))
			require.Equal(t, registry.Tries, f.askedFor(hashOf(t, layer).String()))
			nothingIsLeft(t, h)
		})
	}
}

func TestALongWaitHoldsForTheRepositoryAndLoginItWasSentFor(t *testing.T) {
	f, h := newFake(t), newHost(t, registry.Options{})
	digest := f.push(t, "app", "v1", imageOf(t, layerOf(1, 1000)))

	f.misbehave(answer(429, map[string]string{"Retry-After": "3600"}, ""))
	_, err := h.pull(t.Context(), f.host()+"/app", digest)
	require.Equal(t, model.Throttled, classOf(t, err))
	require.Equal(t, http.StatusTooManyRequests, errorOf(t, err).Status)
	require.InDelta(t, time.Hour, errorOf(t, err).RetryAfter(), float64(time.Minute))

	f.misbehave(nil)
	_, err = h.Resolve(t.Context(), f.host()+"/app:v1", model.Platform{}, "")
	require.Equal(t, model.Throttled, classOf(t, err), "every request for this repository waits")
	require.InDelta(t, time.Hour, errorOf(t, err).RetryAfter(), float64(time.Minute))
	require.Zero(t, f.askedFor("v1"), "it is not even asked")

	other := f.push(t, "other", "v2", imageOf(t, layerOf(2, 1000)))
	resolved, err := h.Resolve(t.Context(), f.host()+"/other:v2", model.Platform{}, "")
	require.NoError(t, err, "another repository of the same registry does not wait for an hour")
	require.Equal(t, other, resolved.Digest)
}

func TestAShortWaitHoldsForTheWholeRegistry(t *testing.T) {
	f, h := newFake(t), newHost(t, registry.Options{})
	digest := f.push(t, "app", "v1", imageOf(t, layerOf(1, 1000)))
	f.push(t, "other", "v2", imageOf(t, layerOf(2, 1000)))
	f.misbehave(times(1, answer(429, map[string]string{"Retry-After": "1"}, "")))
	began := time.Now()
	done := make(chan error, 1)
	go func() {
		_, err := h.pull(t.Context(), f.host()+"/app", digest)
		done <- err
	}()
	require.Eventually(t, func() bool { return f.askedFor(string(digest)) > 0 }, waitLimit, waitStep)
	_, err := h.Resolve(t.Context(), f.host()+"/other:v2", model.Platform{}, "")
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(began), 900*time.Millisecond, "the other repository has waited too")
	require.NoError(t, <-done)
}

// endless sends more and more without saying how much.
func endless(piece []byte) handler {
	return func(w http.ResponseWriter, r *http.Request) bool {
		for r.Context().Err() == nil {
			if _, err := w.Write(piece); err != nil {
				break
			}
		}
		return true
	}
}
