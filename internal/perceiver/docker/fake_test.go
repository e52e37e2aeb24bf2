package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/api/types/system"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/perceiver"
)

// fakeEngine speaks the part of the Engine API that is asked for. It can be away, and can send anything as events.
type fakeEngine struct {
	server *httptest.Server

	lock       sync.Mutex
	containers map[string]container.Summary // by names
	images     map[string]image.InspectResponse
	info       system.Info
	tasks      []swarm.Task
	services   []swarm.Service
	nodes      []swarm.Node
	number     int
	away       bool
	// answers replace what a path answers: the status and the body.
	answers map[string]answer
	asked   map[string]int
	// sent are the events until now; streams receive the next ones.
	sent    []string
	streams map[chan string]bool
}

type answer struct {
	status int
	body   string
}

func startFake(t *testing.T) *fakeEngine {
	t.Helper()
	f := &fakeEngine{
		containers: map[string]container.Summary{}, images: map[string]image.InspectResponse{}, info: system.Info{ID: "engine-1"},
		answers: map[string]answer{}, asked: map[string]int{}, streams: map[chan string]bool{},
	}
	f.server = httptest.NewUnstartedServer(f)
	f.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	f.server.Start()
	t.Cleanup(func() {
		f.server.CloseClientConnections()
		f.server.Close()
	})
	return f
}

// sum is the digest of a number.
func sum(n int) string { return fmt.Sprintf("sha256:%064x", n) }

func (f *fakeEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if rest, versioned := strings.CutPrefix(path, "/v1."); versioned {
		path = rest[strings.IndexByte(rest, '/'):]
	}
	f.lock.Lock()
	f.asked[path]++
	away, replaced, is := f.away, f.answers[path], false
	if replaced.status != 0 {
		is = true
	}
	f.lock.Unlock()
	w.Header().Set("Api-Version", "1.47")
	switch {
	case away:
		hangUp(w)
	case is:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(replaced.status)
		_, _ = w.Write([]byte(replaced.body))
	case path == "/_ping":
		_, _ = w.Write([]byte("OK"))
	case path == "/events":
		f.stream(w, r)
	default:
		f.answer(w, path)
	}
}

// hangUp closes the connection without an answer.
func hangUp(w http.ResponseWriter) {
	if connection, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = connection.Close()
	}
}

func (f *fakeEngine) answer(w http.ResponseWriter, path string) {
	f.lock.Lock()
	defer f.lock.Unlock()
	var value any
	switch path {
	case "/info":
		value = f.info
	case "/containers/json":
		value = slices.Collect(maps.Values(f.containers))
	case "/tasks":
		value = f.tasks
	case "/services":
		value = f.services
	case "/nodes":
		value = f.nodes
	default:
		id := strings.TrimSuffix(strings.TrimPrefix(path, "/images/"), "/json")
		known, is := f.images[id]
		if !is {
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"message":"No such image"}`))
			return
		}
		value = known
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

func (f *fakeEngine) stream(w http.ResponseWriter, r *http.Request) {
	next := make(chan string, 1000)
	f.lock.Lock()
	f.streams[next] = true
	f.lock.Unlock()
	defer func() {
		f.lock.Lock()
		delete(f.streams, next)
		f.lock.Unlock()
	}()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	control := http.NewResponseController(w)
	_ = control.Flush()
	for {
		select {
		case <-r.Context().Done():
			return
		case text, more := <-next:
			if !more {
				hangUp(w)
				return
			}
			_, _ = w.Write([]byte(text))
			_ = control.Flush()
		}
	}
}

// send sends text as events.
func (f *fakeEngine) send(text string) {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.sent = append(f.sent, text)
	for stream := range f.streams {
		stream <- text
	}
}

func eventText(kind events.Type, action events.Action, id string) string {
	text, err := json.Marshal(events.Message{Type: kind, Action: action, Actor: events.Actor{ID: id}})
	if err != nil {
		panic(err)
	}
	return string(text) + "\n"
}

// run starts a container of an image with that tag, whose number is the tag's.
func (f *fakeEngine) run(name, tag string, labels map[string]string) container.Summary {
	f.lock.Lock()
	f.number++
	id, imageID := fmt.Sprintf("%064x", f.number), sum(1000+len(tag)*100+int(tag[len(tag)-1]))
	c := container.Summary{
		ID: id, Names: []string{"/" + name}, Image: "registry.example/app:" + tag, ImageID: imageID, State: container.StateRunning, Labels: labels,
	}
	f.containers[name] = c
	f.images[imageID] = image.InspectResponse{
		ID: imageID, RepoTags: []string{c.Image}, RepoDigests: []string{"registry.example/app@" + sum(int(tag[len(tag)-1]))}, Os: "linux", Architecture: "amd64",
	}
	f.lock.Unlock()
	f.send(eventText(events.ContainerEventType, events.ActionStart, id))
	return c
}

func (f *fakeEngine) change(what func()) {
	f.lock.Lock()
	defer f.lock.Unlock()
	what()
}

func (f *fakeEngine) timesAsked(path string) int {
	f.lock.Lock()
	defer f.lock.Unlock()
	return f.asked[path]
}

// The platform of the conformance suite.

func (f *fakeEngine) Add(_ *testing.T, name, tag string) { f.run(name, tag, nil) }

func (f *fakeEngine) Replace(t *testing.T, name, tag string) {
	f.Remove(t, name)
	f.Add(t, name, tag)
}

func (f *fakeEngine) Remove(_ *testing.T, name string) {
	f.lock.Lock()
	id := f.containers[name].ID
	delete(f.containers, name)
	f.lock.Unlock()
	f.send(eventText(events.ContainerEventType, events.ActionDie, id))
	f.send(eventText(events.ContainerEventType, events.ActionDestroy, id))
}

func (f *fakeEngine) Away(*testing.T) {
	f.lock.Lock()
	f.away = true
	for stream := range f.streams {
		close(stream)
	}
	f.streams = map[chan string]bool{}
	f.lock.Unlock()
	f.server.CloseClientConnections()
}

func (f *fakeEngine) Back(*testing.T) { f.change(func() { f.away = false }) }

func (f *fakeEngine) Repeat(*testing.T) {
	f.lock.Lock()
	again := slices.Clone(f.sent)
	f.lock.Unlock()
	slices.Reverse(again)
	for _, text := range again {
		f.send(text)
	}
}

func (f *fakeEngine) connect() (Engine, error) {
	return Connect(Connection{Host: "tcp://" + f.server.Listener.Addr().(*net.TCPAddr).String(), UserAgent: "test"}) //nolint:forcetypeassert // httptest listens on TCP
}

func (f *fakeEngine) Watch(ctx context.Context, to perceiver.Reporter) error {
	e, err := f.connect()
	if err != nil {
		return err
	}
	p, err := New(Options{Cluster: "c", Engine: e, Reporter: to})
	if err != nil {
		return err
	}
	return p.Run(ctx)
}

// watchFake runs a perceiver over a fake engine until the test ends.
func watchFake(t *testing.T, f *fakeEngine, o Options) {
	t.Helper()
	var err error
	o.Engine, err = f.connect()
	require.NoError(t, err)
	if o.Cluster == "" {
		o.Cluster = "c"
	}
	p, err := New(o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = p.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
}
