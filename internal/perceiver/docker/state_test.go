package docker

import (
	"context"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/swarm"
)

// fakeState is an Engine that has what a test sets.
type fakeState struct {
	about      About
	containers []container.Summary
	images     map[string]image.InspectResponse
	tasks      []swarm.Task
	services   []swarm.Service
	nodes      []swarm.Node
	swarmFails error
}

func (f *fakeState) About(context.Context) (About, error) { return f.about, nil }

func (f *fakeState) Containers(context.Context) ([]container.Summary, error) {
	return f.containers, nil
}

func (f *fakeState) Image(_ context.Context, id string) (image.InspectResponse, error) {
	known, is := f.images[id]
	if !is {
		return known, cerrdefs.ErrNotFound
	}
	return known, nil
}

func (f *fakeState) Tasks(context.Context) ([]swarm.Task, error) { return f.tasks, f.swarmFails }

func (f *fakeState) Services(context.Context) ([]swarm.Service, error) {
	return f.services, f.swarmFails
}

func (f *fakeState) Nodes(context.Context) ([]swarm.Node, error) { return f.nodes, f.swarmFails }

func (f *fakeState) Events(ctx context.Context, begun func(), _ func(events.Message)) error {
	begun()
	<-ctx.Done()
	return ctx.Err()
}
