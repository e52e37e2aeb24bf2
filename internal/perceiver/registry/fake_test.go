package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/perceiver"
	"github.com/perceptor/perceptor/model"
)

const testSecret = "0123456789abcdef"

// fakeRegistry speaks what is asked of a registry, two names a page, and sends events as the distribution registry does: one after
// the other, each until it is accepted.
type fakeRegistry struct {
	server *httptest.Server
	// notifies says that events are sent.
	notifies bool
	options  func(*Options)

	lock sync.Mutex
	away bool
	// tags are the digests of tags by repositories; refused are what the login may not read.
	tags    map[string]map[string]string
	refused map[string]bool
	// headless leaves out the header with the digest.
	headless bool
	asked    map[string]int
	sent     [][]byte
	queue    chan []byte
	receiver string
	numbered int
}

func startFake(t *testing.T) *fakeRegistry {
	t.Helper()
	f := &fakeRegistry{
		notifies: true, tags: map[string]map[string]string{}, refused: map[string]bool{}, asked: map[string]int{}, queue: make(chan []byte, 1000), options: func(*Options) {},
	}
	f.server = httptest.NewServer(f)
	ctx, cancel := context.WithCancel(context.Background())
	var sending sync.WaitGroup
	sending.Go(func() { f.send(ctx) })
	t.Cleanup(func() { cancel(); sending.Wait(); f.server.CloseClientConnections(); f.server.Close() })
	return f
}

func (f *fakeRegistry) host() string { return strings.TrimPrefix(f.server.URL, "http://") }

func (f *fakeRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.asked[r.Method+" "+r.URL.Path]++
	path, _ := strings.CutPrefix(r.URL.Path, "/v2/")
	repository, rest, _ := strings.Cut(path, "/tags/list")
	if before, tag, is := strings.Cut(path, "/manifests/"); is {
		repository, rest = before, tag
	}
	switch {
	case f.away:
		panic(http.ErrAbortHandler)
	case path == "":
		w.WriteHeader(http.StatusOK)
	case path == "_catalog":
		f.page(w, r, "repositories", slices.Sorted(maps.Keys(f.tags)))
	case f.refused[repository]:
		w.WriteHeader(http.StatusForbidden)
	case f.tags[repository] == nil:
		w.WriteHeader(http.StatusNotFound)
	case strings.HasSuffix(path, "/tags/list"):
		f.page(w, r, "tags", slices.Sorted(maps.Keys(f.tags[repository])))
	case f.tags[repository][rest] == "":
		w.WriteHeader(http.StatusNotFound)
	default:
		if !f.headless {
			w.Header().Set("Docker-Content-Digest", f.tags[repository][rest])
		}
		_, _ = w.Write([]byte("{}"))
	}
}

// page answers two names of a list, and where the next ones are.
func (f *fakeRegistry) page(w http.ResponseWriter, r *http.Request, what string, names []string) {
	last := r.URL.Query().Get("last")
	rest := slices.DeleteFunc(names, func(n string) bool { return n <= last })
	if len(rest) > 2 {
		rest = rest[:2]
		w.Header().Set("Link", fmt.Sprintf(`<%s?last=%s&n=2>; rel="next"`, r.URL.Path, rest[1]))
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"name": "x", what: rest})
}

// send sends the events of the queue.
func (f *fakeRegistry) send(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case body := <-f.queue:
			for ctx.Err() == nil && f.post(ctx, body)/100 != 2 {
				sleep(ctx, 20*time.Millisecond)
			}
		}
	}
}

// post posts to the receiver, and gives the status, 0 for no answer.
func (f *fakeRegistry) post(ctx context.Context, body []byte) int {
	f.lock.Lock()
	address := f.receiver
	f.lock.Unlock()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/webhook", bytes.NewReader(body))
	if err != nil {
		return 0
	}
	request.Header.Set("Authorization", "Bearer "+testSecret)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

func (f *fakeRegistry) set(repository, tag, digest string) {
	f.lock.Lock()
	defer f.lock.Unlock()
	if f.tags[repository] == nil {
		f.tags[repository] = map[string]string{}
	}
	action := "push"
	if f.tags[repository][tag] = digest; digest == "" {
		delete(f.tags[repository], tag)
		action = "delete"
	}
	f.numbered++
	body := fmt.Appendf(nil, `{"events":[{"id":"event-%d","timestamp":"2026-01-02T03:04:05Z","action":%q,"target":{"digest":%q,`+
		`"mediaType":"application/vnd.oci.image.manifest.v1+json","repository":%q,"tag":%q,"url":"http://elsewhere.example/v2/"}}]}`, f.numbered, action, digest, repository, tag)
	if f.notifies {
		f.sent = append(f.sent, body)
		f.queue <- body
	}
}

// The fake as a platform of the conformance suite: a pod is a tag, an image a digest.

func (f *fakeRegistry) Add(_ *testing.T, name, tag string) { f.set("team/app", name, sumOf(tag)) }

func (f *fakeRegistry) Replace(_ *testing.T, name, tag string) { f.set("team/app", name, sumOf(tag)) }
func (f *fakeRegistry) Remove(_ *testing.T, name string)       { f.set("team/app", name, "") }

func (f *fakeRegistry) setAway(away bool) {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.away = away
}

func (f *fakeRegistry) Away(*testing.T) { f.setAway(true) }
func (f *fakeRegistry) Back(*testing.T) { f.setAway(false) }

func (f *fakeRegistry) Repeat(*testing.T) {
	f.lock.Lock()
	sent := slices.Clone(f.sent)
	f.lock.Unlock()
	slices.Reverse(sent)
	for i, body := range slices.Concat(sent, sent) {
		if i%2 == 1 {
			body = bytes.ReplaceAll(body, []byte(`"id":"event`), []byte(`"id":"again`)) // and some that are not remembered
		}
		f.queue <- body
	}
}

func (f *fakeRegistry) Watch(ctx context.Context, to perceiver.Reporter) error {
	p, err := New(f.optionsFor(imageTags{to}))
	if err != nil {
		return err
	}
	return p.Run(ctx)
}

func (f *fakeRegistry) optionsFor(to perceiver.Reporter) Options {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	f.lock.Lock()
	f.receiver = listener.Addr().String()
	f.lock.Unlock()
	o := Options{
		Cluster: "registry", Host: f.host(), Kind: Distribution, Listener: listener, Reporter: to, Logger: slog.New(slog.DiscardHandler),
		Secrets: func() []string { return []string{testSecret} }, WalkInterval: time.Hour,
	}
	f.options(&o)
	return o
}

// sumOf is the digest of an image of the conformance suite.
func sumOf(number string) string {
	n, err := strconv.Atoi(number)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf("sha256:%064x", n)
}

// imageTags reports the digests of sumOf as tags: the suite tells images by those, and here a tag is a pod.
type imageTags struct{ to perceiver.Reporter }

func (i imageTags) Report(ctx context.Context, r model.PodReport) error {
	r.Pods = slices.Clone(r.Pods)
	for at, pod := range r.Pods {
		number, err := strconv.ParseInt(pod.Containers[0].Digest.Hex(), 16, 64)
		if err != nil {
			return err
		}
		one := pod.Containers[0]
		one.Reference = fmt.Sprintf("registry.example/app:%d", number)
		r.Pods[at].Containers = []model.Container{one}
	}
	return i.to.Report(ctx, r)
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	require.Eventually(t, is, 20*time.Second, 10*time.Millisecond, what)
}
