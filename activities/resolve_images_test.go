package activities

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

func question(n int) ResolveRequest {
	return ResolveRequest{Reference: fmt.Sprintf("registry.example/app@sha256:%064x", n), Platform: model.Platform{OS: "linux", Architecture: "amd64"}}
}

func TestPinnedReferenceIsAskedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, asked := newResolvedImages(), atomic.Int32{}
		var wait sync.WaitGroup
		for range 200 {
			wait.Go(func() {
				found, err := r.resolve(t.Context(), question(1), func() (ResolvedImage, error) {
					asked.Add(1)
					time.Sleep(time.Second)
					return ResolvedImage{Digest: "d"}, nil
				})
				require.NoError(t, err)
				require.EqualValues(t, "d", found.Digest)
			})
		}
		wait.Wait()
		require.EqualValues(t, 1, asked.Load())
	})
}

func TestOnlyAnswersToTheSameQuestionAreRemembered(t *testing.T) {
	r := newResolvedImages()
	asked := 0
	ask := func(q ResolveRequest, err error) {
		_, _ = r.resolve(t.Context(), q, func() (ResolvedImage, error) { asked++; return ResolvedImage{}, err })
	}
	tag := ResolveRequest{Reference: "registry.example/app:1"}
	other, private := question(1), question(1)
	other.Platform.Architecture = "arm64"
	private.Credential = "theirs"
	for _, q := range []ResolveRequest{tag, tag, question(1), question(1), other, private} {
		ask(q, nil)
	}
	require.Equal(t, 5, asked, "a tag is asked for each time, a pinned reference once for each platform and credential")
	ask(question(2), errors.New("down"))
	ask(question(2), nil)
	require.Equal(t, 7, asked, "a failure is not remembered")
}

func TestOldestResolutionsAreForgotten(t *testing.T) {
	r := newResolvedImages()
	for n := range resolvedAtMost + 10 {
		_, err := r.resolve(t.Context(), question(n), func() (ResolvedImage, error) { return ResolvedImage{}, nil })
		require.NoError(t, err)
	}
	require.Len(t, r.known, resolvedAtMost)
	require.Equal(t, resolvedAtMost, r.order.Len())
}

func TestWhoWaitsForAnotherCanGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newResolvedImages()
		go func() {
			_, _ = r.resolve(context.Background(), question(1), func() (ResolvedImage, error) { time.Sleep(time.Hour); return ResolvedImage{}, nil })
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := r.resolve(ctx, question(1), nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		time.Sleep(time.Hour)
	})
}

func TestWhoGivesUpLetsTheNextAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newResolvedImages()
		go func() {
			_, _ = r.resolve(context.Background(), question(1), func() (ResolvedImage, error) {
				time.Sleep(time.Second)
				return ResolvedImage{}, context.Canceled
			})
		}()
		synctest.Wait()
		found, err := r.resolve(t.Context(), question(1), func() (ResolvedImage, error) { return ResolvedImage{Digest: "d"}, nil })
		require.NoError(t, err)
		require.EqualValues(t, "d", found.Digest)
	})
}

func TestPinned(t *testing.T) {
	pinned := func(reference string) bool { return ResolveRequest{Reference: reference}.digest() != "" }
	require.True(t, pinned("registry.example/app@sha256:"+strings.Repeat("a", 64)))
	require.True(t, pinned("registry.example/app:1@sha256:"+strings.Repeat("a", 64)))
	require.False(t, pinned("registry.example/app:1"))
	require.False(t, pinned("registry.example/app@sha256:short"))
}
