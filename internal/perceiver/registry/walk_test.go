package registry

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/perceiver"
	"github.com/perceptor/perceptor/model"
)

func TestAWalkGoesOnWhereTheRegistryWasAway(t *testing.T) {
	f := startFake(t)
	f.notifies = false
	for i := range 20 {
		f.set(fmt.Sprintf("team/app-%02d", i), "v1", sumOf("1"))
	}
	p, err := New(f.optionsFor(nil))
	require.NoError(t, err)
	w := &walk{Perceiver: p, seen: map[string]bool{}}
	p.updates = make(chan update, 1000)
	f.lock.Lock()
	f.refused["team/app-03"] = true
	f.lock.Unlock()
	require.NoError(t, w.list(t.Context(), map[string]bool{"team/gone": true}))
	require.Len(t, w.pending, 21, "over pages of two")
	f.setAway(true)
	require.Error(t, w.on(t.Context(), nil))
	require.Len(t, w.pending, 21)
	f.setAway(false)
	require.NoError(t, w.on(t.Context(), nil))
	require.Equal(t, []string{"team/app-03"}, w.failed)
	require.Len(t, p.updates, 20)
	f.lock.Lock()
	defer f.lock.Unlock()
	require.Equal(t, 10, f.asked["GET /v2/_catalog"], "the catalogue is listed once")
}

func TestARepositoryThatCannotBeReadKeepsWhatWasKnown(t *testing.T) {
	r := startReceiver(t, Distribution, func(o *Options) { o.WalkInterval = 100 * time.Millisecond; o.SnapshotInterval = 100 * time.Millisecond })
	r.lock.Lock()
	r.refused["team/app"] = true
	r.lock.Unlock()
	r.set("team/other", "v1", sumOf("2"))
	eventually(t, "the other repository", func() bool { return len(r.rows()) == 2 })
	reports := len(r.world.Reports())
	eventually(t, "another snapshot", func() bool { return len(r.world.Reports()) > reports })
	require.Equal(t, sumOf("1"), r.rows()["team:app/v1"])
	require.Contains(t, r.log.String(), "a repository could not be read; what was known of it stays")
}

// TestNoSnapshotLacksWhatCouldNotBeRead: after a restart nothing is known of a repository that is refused, so no snapshot is made.
func TestNoSnapshotLacksWhatCouldNotBeRead(t *testing.T) {
	f := startFake(t)
	f.notifies = false
	f.set("team/app", "v1", sumOf("1"))
	f.set("team/hidden", "v1", sumOf("2"))
	f.refused["team/hidden"] = true
	reported := make(chan model.PodReport, 100)
	o := f.optionsFor(reporterFunc(func(r model.PodReport) error { reported <- r; return nil }))
	o.WalkInterval = 50 * time.Millisecond
	p, err := New(o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	first := <-reported
	eventually(t, "the trouble to be said", func() bool {
		list, _ := p.troubles.List(time.Now())
		return len(list) == 1 && strings.Contains(list[0].Reason, "team/hidden")
	})
	require.False(t, first.Snapshot)
	require.Len(t, first.Pods, 1)
	f.lock.Lock()
	delete(f.refused, "team/hidden")
	f.lock.Unlock()
	second := <-reported
	require.True(t, second.Snapshot, "when all is known")
	require.Len(t, second.Pods, 2)
	eventually(t, "the trouble to end", func() bool { list, _ := p.troubles.List(time.Now()); return len(list) == 0 })
	cancel()
	require.NoError(t, <-done)
}

type reporterFunc func(r model.PodReport) error

func (f reporterFunc) Report(_ context.Context, r model.PodReport) error { return f(r) }

func TestHostileLists(t *testing.T) {
	for what, answer := range map[string]http.HandlerFunc{
		"a list without an end": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", `</v2/_catalog?last=a>; rel="next"`)
			_, _ = w.Write([]byte(`{"repositories":["a"]}`))
		},
		"a next page elsewhere": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", `<http://evil.example/v2/_catalog>; rel="next"`)
			_, _ = w.Write([]byte(`{"repositories":["a"]}`))
		},
		"a next page outside of the API": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", `</admin>; rel="next"`)
			_, _ = w.Write([]byte(`{"repositories":["a"]}`))
		},
		"a redirect elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://evil.example/", http.StatusFound)
		},
		"no JSON": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"an answer that is too large": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"repositories":["` + strings.Repeat("a", answerBytes) + `"]}`))
		},
		"no catalogue": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
	} {
		t.Run(what, func(t *testing.T) {
			f := startFake(t)
			f.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v2/" {
					return
				}
				answer(w, r)
			})
			p, err := New(f.optionsFor(nil))
			require.NoError(t, err)
			w := &walk{Perceiver: p, seen: map[string]bool{}}
			require.Error(t, w.list(t.Context(), nil))
			require.False(t, w.listed)
		})
	}
}

func TestWhatIsNoImageIsLeftOut(t *testing.T) {
	f := startFake(t)
	f.notifies = false
	signature := "sha256-" + strings.Repeat("a", 64) + ".sig"
	for _, tag := range []string{"v1", "latest", "skip-me", signature, "sha256-" + strings.Repeat("a", 64)} {
		f.set("Team/app", tag, sumOf("1"))
	}
	f.set("tools/pause", "v1", sumOf("1"))
	f.headless = true
	p, err := New(f.optionsFor(nil))
	require.NoError(t, err)
	p.filter, err = perceiver.NewFilter(perceiver.Selection{IgnoredImages: []string{"*/pause", "*:skip-*"}})
	require.NoError(t, err)
	read, err := p.readAll(t.Context(), "Team/app")
	require.NoError(t, err)
	require.Equal(t, []string{"latest", "v1"}, slices.Sorted(maps.Keys(read.tags)))
	require.Equal(t, model.Digest("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"), read.tags["v1"], "the sum of {}: the registry sends no header")
	require.False(t, p.wanted("tools/pause"))
	gone, err := p.readAll(t.Context(), "team/none")
	require.NoError(t, err)
	require.Empty(t, gone.tags)
}

func TestAnOlderReadingNeverUndoesANewerOne(t *testing.T) {
	s := newState(Options{Host: "registry.example"})
	one, two := model.Digest(sumOf("1")), model.Digest(sumOf("2"))
	digests := func() map[string]model.Digest {
		all := map[string]model.Digest{}
		for _, p := range s.pods {
			require.NoError(t, p.Check())
			all[p.Name] = p.Containers[0].Digest
		}
		return all
	}
	s.apply(reading{repository: "a", begun: 2, tags: map[string]model.Digest{"moved": two, "new": one, "gone": ""}})
	s.apply(reading{repository: "a", whole: true, begun: 1, tags: map[string]model.Digest{"moved": one, "gone": one, "old": one}})
	require.Equal(t, map[string]model.Digest{"moved": two, "new": one, "old": one}, digests())
	s.apply(reading{repository: "a", whole: true, begun: 3, tags: map[string]model.Digest{"moved": one}})
	require.Equal(t, map[string]model.Digest{"moved": one}, digests())
	s.apply(reading{repository: "a", whole: true, begun: 4})
	require.Empty(t, s.tags)
	require.Empty(t, s.pods)
}

func TestTooManyTagsAreSaidAndNoSnapshotIsMade(t *testing.T) {
	s := newState(Options{Host: "registry.example"})
	s.most = 2
	one := model.Digest(sumOf("1"))
	s.apply(reading{repository: "a", whole: true, begun: 1, tags: map[string]model.Digest{"x": one, "y": one, "z": one}})
	s.walked()
	require.Len(t, s.pods, 2)
	require.True(t, s.partial())
	s.apply(reading{repository: "a", whole: true, begun: 2, tags: map[string]model.Digest{"x": one, "y": one}})
	s.walked()
	require.False(t, s.partial(), "when there are fewer")
}

func TestNamesOfNamespaces(t *testing.T) {
	long := strings.Repeat("a/", 127) + "a"
	require.True(t, isRepository(long))
	seen := map[string]string{}
	for _, repository := range []string{"a", "a/b", "a-b", "a.b", "a/b/c", "Team/app", long, long[:len(long)-1] + "b"} {
		namespace := namespaceOf(repository)
		require.NoError(t, model.CheckNamespace(namespace))
		require.Empty(t, seen[namespace], "two repositories with one name")
		seen[namespace] = repository
	}
	for _, wrong := range []string{"", "/", "a/", "/a", "a//b", "..", "a/../b", "_a", "a b", "a:b", "a@b", "a\x00", strings.Repeat("a", 256)} {
		require.False(t, isRepository(wrong), wrong)
	}
}

func TestOptionsThatCannotWork(t *testing.T) {
	f := startFake(t)
	good := f.optionsFor(nil)
	for what, change := range map[string]func(*Options){
		"no cluster": func(o *Options) { o.Cluster = "" }, "no host": func(o *Options) { o.Host = "" }, "a host with a path": func(o *Options) { o.Host = "a.example/b" },
		"no kind": func(o *Options) { o.Kind = "" }, "another kind": func(o *Options) { o.Kind = "dockerhub" }, "a time below zero": func(o *Options) { o.WalkInterval = -1 },
		"a repository with a tag": func(o *Options) { o.Repositories = []string{"a:1"} }, "no pattern": func(o *Options) { o.Selection.IgnoredImages = []string{""} },
	} {
		o := good
		change(&o)
		_, err := New(o)
		require.Error(t, err, what)
	}
	_, err := New(good)
	require.NoError(t, err)
}
