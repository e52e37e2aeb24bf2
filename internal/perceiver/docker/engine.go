package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/docker/cli/cli/config"
	dockercontext "github.com/docker/cli/cli/context/docker"
	"github.com/docker/cli/cli/context/store"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"
)

// Engine is all that is asked of a Docker Engine. Everything of it reads.
type Engine interface {
	// About says which engine this is, and what it knows of a Swarm.
	About(ctx context.Context) (About, error)
	// Containers are those that run, also the paused ones.
	Containers(ctx context.Context) ([]container.Summary, error)
	// Image is an image by its ID.
	Image(ctx context.Context, id string) (image.InspectResponse, error)
	// Tasks, Services and Nodes are those of the Swarm that the engine manages.
	Tasks(ctx context.Context) ([]swarm.Task, error)
	Services(ctx context.Context) ([]swarm.Service, error)
	Nodes(ctx context.Context) ([]swarm.Node, error)
	// Events calls each with the events that may matter, until ctx ends or the stream breaks. It calls begun when the stream has begun.
	Events(ctx context.Context, begun func(), each func(events.Message)) error
}

// About is which engine this is.
type About struct {
	// ID tells the engine from others, ClusterID the Swarm that it manages.
	ID, ClusterID string
	// Node is the engine's own node in the Swarm.
	Node string
	// Swarm says how the engine takes part in a Swarm.
	Swarm Swarm
}

// Identity is what tells the watched system from others: the Swarm where the engine manages one.
func (a About) Identity() string {
	if a.Swarm == Manages {
		return "swarm:" + a.ClusterID
	}
	return "engine:" + a.ID
}

// Swarm is how an engine takes part in a Swarm.
type Swarm int

// The ways: not at all or as a worker, as a manager, or as a manager that cannot answer at present.
const (
	NoManager Swarm = iota
	Manages
	CannotSay
)

// The bounds of what an engine may answer, in bytes. A container has about 2 KiB in a list, a task 4 KiB.
const (
	answerLimit = 256 << 20
	eventLimit  = 1 << 20
)

// requestTimeout is how long one question to an engine may take.
const requestTimeout = 30 * time.Second

// Connection says how to reach an engine.
type Connection struct {
	// Host is the address, such as unix:///var/run/docker.sock; empty means that of the context.
	Host string
	// Context is a context of the docker command. Empty means DOCKER_HOST, then the command's current context.
	Context string
	// UserAgent is what this program is called in the engine's log.
	UserAgent string
}

// Connect makes a client; nothing is asked of the engine yet. Without Host and Context it reads DOCKER_HOST, DOCKER_TLS_VERIFY,
// DOCKER_CERT_PATH, DOCKER_API_VERSION, DOCKER_CONTEXT and the current context, as the docker command does.
func Connect(c Connection) (Engine, error) { return c.connect() }

func (c Connection) connect() (*engine, error) {
	options, err := c.options()
	if err != nil {
		return nil, fmt.Errorf("connect to Docker: %w", err)
	}
	options = append(options, client.WithUserAgent(c.UserAgent), client.WithHTTPResponseHook(boundAnswer))
	cli, err := client.New(options...)
	if err != nil {
		return nil, fmt.Errorf("connect to Docker: %w", err)
	}
	return &engine{cli}, nil
}

func (c Connection) options() ([]client.Opt, error) {
	fromEnvironment := []client.Opt{client.WithTLSClientConfigFromEnv(), client.WithHostFromEnv(), client.WithAPIVersionFromEnv()}
	if c.Host != "" && c.Context != "" {
		return nil, errors.New("give either a host or a context")
	}
	if c.Host != "" {
		return append(fromEnvironment, client.WithHost(c.Host)), nil
	}
	name := c.Context
	if name == "" {
		name = currentContext()
	}
	if name == "" || name == defaultContext {
		return fromEnvironment, nil
	}
	contexts := store.New(config.ContextStoreDir(), store.NewConfig(
		func() any { return &map[string]any{} },
		store.EndpointTypeGetter(dockercontext.DockerEndpoint, func() any { return &dockercontext.EndpointMeta{} })))
	metadata, err := contexts.GetMetadata(name)
	if err != nil {
		return nil, fmt.Errorf("context %q: %w", name, err)
	}
	meta, err := dockercontext.EndpointFromContext(metadata)
	if err != nil {
		return nil, fmt.Errorf("context %q: %w", name, err)
	}
	endpoint, err := dockercontext.WithTLSData(contexts, name, meta)
	if err != nil {
		return nil, fmt.Errorf("context %q: %w", name, err)
	}
	options, err := endpoint.ClientOpts()
	if err != nil {
		return nil, fmt.Errorf("context %q: %w", name, err)
	}
	return options, nil
}

// defaultContext is the docker command's name for what the environment says.
const defaultContext = "default"

// currentContext is the context that the docker command would use. DOCKER_HOST comes before it.
func currentContext() string {
	if os.Getenv(client.EnvOverrideHost) != "" {
		return ""
	}
	if name := os.Getenv("DOCKER_CONTEXT"); name != "" {
		return name
	}
	file := config.LoadDefaultConfigFile(io.Discard)
	return file.CurrentContext
}

func isEventStream(path string) bool { return strings.HasSuffix(path, "/events") }

// boundAnswer has the reading of an answer end with an error where it is far too long: an answer as a whole, and each line of an
// event stream. An exported image ends where the disk does.
func boundAnswer(r *http.Response) {
	if r.Request != nil && strings.HasSuffix(r.Request.URL.Path, "/images/get") {
		return
	}
	if r.Request != nil && isEventStream(r.Request.URL.Path) {
		r.Body = &boundedLines{ReadCloser: r.Body}
		return
	}
	r.Body = http.MaxBytesReader(nil, r.Body, answerLimit)
}

// errLongEvent is an event that no engine sends.
var errLongEvent = fmt.Errorf("an event has more than %d bytes", eventLimit)

// boundedLines counts the bytes since the last event began. Engines end each event with a newline.
type boundedLines struct {
	io.ReadCloser
	count int
}

func (b *boundedLines) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	for _, c := range p[:n] {
		if b.count++; c == '\n' {
			b.count = 0
		}
	}
	if b.count > eventLimit {
		return 0, errLongEvent
	}
	return n, err
}

type engine struct{ *client.Client }

func within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, requestTimeout)
}

func (e *engine) About(ctx context.Context) (About, error) {
	ctx, cancel := within(ctx)
	defer cancel()
	answer, err := e.Info(ctx, client.InfoOptions{})
	if err != nil {
		return About{}, fmt.Errorf("ask the engine for its ID: %w", err)
	}
	info := answer.Info
	about := About{ID: info.ID, Node: info.Swarm.NodeID}
	if info.Swarm.Cluster != nil {
		about.ClusterID = info.Swarm.Cluster.ID
	}
	switch state := info.Swarm.LocalNodeState; {
	case info.Swarm.ControlAvailable && about.ClusterID != "":
		about.Swarm = Manages
	case !info.Swarm.ControlAvailable && (state == "" || state == swarm.LocalNodeStateInactive || state == swarm.LocalNodeStateActive):
		about.Swarm = NoManager
	default:
		about.Swarm = CannotSay
	}
	return about, nil
}

func (e *engine) Containers(ctx context.Context) ([]container.Summary, error) {
	ctx, cancel := within(ctx)
	defer cancel()
	answer, err := e.ContainerList(ctx, client.ContainerListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	return answer.Items, nil
}

func (e *engine) Image(ctx context.Context, id string) (image.InspectResponse, error) {
	ctx, cancel := within(ctx)
	defer cancel()
	answer, err := e.ImageInspect(ctx, id)
	if err != nil {
		return image.InspectResponse{}, fmt.Errorf("inspect image %.80q: %w", id, err)
	}
	return answer.InspectResponse, nil
}

func (e *engine) Tasks(ctx context.Context) ([]swarm.Task, error) {
	ctx, cancel := within(ctx)
	defer cancel()
	answer, err := e.TaskList(ctx, client.TaskListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list tasks: %w", err)
	}
	return answer.Items, nil
}

func (e *engine) Services(ctx context.Context) ([]swarm.Service, error) {
	ctx, cancel := within(ctx)
	defer cancel()
	answer, err := e.ServiceList(ctx, client.ServiceListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list services: %w", err)
	}
	return answer.Items, nil
}

func (e *engine) Nodes(ctx context.Context) ([]swarm.Node, error) {
	ctx, cancel := within(ctx)
	defer cancel()
	answer, err := e.NodeList(ctx, client.NodeListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	return answer.Items, nil
}

// beginTimeout is how long an engine may take to begin a stream of events.
const beginTimeout = requestTimeout

func (e *engine) Events(ctx context.Context, begun func(), each func(events.Message)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := time.AfterFunc(beginTimeout, func() { cancel(errors.New("the engine did not begin to send events")) })
	defer late.Stop()
	stream := e.Client.Events(ctx, client.EventsListOptions{})
	late.Stop()
	begun()
	for {
		select {
		case message := <-stream.Messages:
			each(message)
		case err := <-stream.Err:
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			if err == nil {
				err = io.EOF
			}
			return fmt.Errorf("read events: %w", err)
		}
	}
}
