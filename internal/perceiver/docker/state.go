package docker

import (
	"context"
	"errors"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/swarm"

	"github.com/perceptor/perceptor/internal/perceiver"
	"github.com/perceptor/perceptor/internal/perceiver/trouble"
	"github.com/perceptor/perceptor/model"
)

// state reads what runs. It belongs to one goroutine.
type state struct {
	engine Engine
	filter *perceiver.Filter
	images images
	// labels are the keys of labels that are reported.
	labels []string
	// troubles has what cannot be read.
	troubles *trouble.Book

	// services are those that tasks name, also after they were removed.
	services map[string]service
	// tasks are the pods of the last list of tasks that could be read.
	tasks map[string]model.Pod
	// unread says that the tasks could not be read the last time.
	unread bool
}

func newState(e Engine, f *perceiver.Filter, troubles *trouble.Book) *state {
	return &state{engine: e, filter: f, images: images{engine: e}, troubles: troubles, services: map[string]service{}, tasks: map[string]model.Pod{}}
}

// running is one list of containers with their images.
type running struct {
	containers []container.Summary
	images     map[string]imageInfo // by the containers' IDs
}

// read lists what runs. An error means that containers could not be listed. Where only the tasks could not, the list is partial.
func (s *state) read(ctx context.Context, about About) (perceiver.List, error) {
	var now running
	var err error
	if now.containers, err = s.engine.Containers(ctx); err != nil {
		return perceiver.List{}, err
	}
	last := s.images.begin(about.ID)
	now.images = make(map[string]imageInfo, len(now.containers))
	for _, c := range now.containers {
		if now.images[c.ID], err = s.images.of(ctx, last, c.ImageID); err != nil {
			return perceiver.List{}, err
		}
	}
	s.troubles.Work(model.TroubleReadPods, time.Now())
	partial := s.readTasks(ctx, about, now)
	list := perceiver.List{Pods: make(map[string]model.Pod, len(now.containers)+len(s.tasks)), Partial: partial}
	for _, pod := range s.tasks {
		s.add(list, pod)
	}
	for _, c := range now.containers {
		if _, reported := s.tasks[cleanUID(c.Labels[swarmTask])]; !reported && runs(c) {
			pod := containerPod(c, now.images[c.ID])
			pod.Labels = perceiver.ChosenLabels(s.labels, c.Labels)
			s.add(list, pod)
		}
	}
	return list, nil
}

// add adds a pod that is of interest.
func (s *state) add(list perceiver.List, pod model.Pod) {
	if pod.UID == "" || !s.filter.Allows(pod.Namespace) || s.filter.Ignores(pod.Containers[0].Reference) {
		return
	}
	list.Pods[pod.UID] = pod
}

// errNoAnswer is a manager without a quorum, or a node that is about to join or leave.
var errNoAnswer = errors.New("the engine's Swarm does not answer at present")

// readTasks reads the tasks of the Swarm. Where they cannot be read those of before stay, and the list is partial.
func (s *state) readTasks(ctx context.Context, about About, now running) (partial bool) {
	var tasks map[string]model.Pod
	err := errNoAnswer
	switch about.Swarm {
	case NoManager:
		err = nil
	case Manages:
		tasks, err = s.listTasks(ctx, about, now)
	case CannotSay:
	}
	if err != nil {
		s.unread = true
		if ctx.Err() == nil {
			s.troubles.Fail(model.TroubleReadTasks, perceiver.Clip(err.Error(), reasonLength), time.Now())
		}
		return true
	}
	s.troubles.Work(model.TroubleReadTasks, time.Now())
	s.unread, s.tasks = false, tasks
	return false
}

func (s *state) listTasks(ctx context.Context, about About, now running) (map[string]model.Pod, error) {
	tasks, err := s.engine.Tasks(ctx)
	if err != nil {
		return nil, err
	}
	services, err := s.engine.Services(ctx)
	if err != nil {
		return nil, err
	}
	nodes, err := s.engine.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	s.rememberServices(tasks, services)
	platforms := make(map[string]model.Platform, len(nodes))
	for _, n := range nodes {
		platforms[n.ID] = platformOf(n.Description.Platform.OS, n.Description.Platform.Architecture, "")
	}
	here := make(map[string]imageInfo, len(now.containers))
	for _, c := range now.containers {
		if task := c.Labels[swarmTask]; task != "" {
			here[task] = now.images[c.ID]
		}
	}
	pods := map[string]model.Pod{}
	for _, t := range tasks {
		if !isBusy(t) {
			continue
		}
		var local *imageInfo
		if info, is := here[t.ID]; is && t.NodeID == about.Node {
			local = &info
		}
		known, is := s.services[t.ServiceID]
		if !is {
			known = service{namespace: cleanNamespace(t.Spec.ContainerSpec.Labels[stackNamespace]), name: cleanName(t.ServiceID, cleanUID(t.ID))}
		}
		pod := taskPod(t, known, platforms[t.NodeID], local)
		pod.Labels = perceiver.ChosenLabels(s.labels, known.labels, t.Spec.ContainerSpec.Labels)
		pods[pod.UID] = pod
	}
	return pods, nil
}

// rememberServices keeps the services that there are, and those that still have tasks: a task that is being stopped keeps its name.
func (s *state) rememberServices(tasks []swarm.Task, services []swarm.Service) {
	next := make(map[string]service, len(services))
	for _, t := range tasks {
		if known, is := s.services[t.ServiceID]; is {
			next[t.ServiceID] = known
		}
	}
	for _, each := range services {
		next[each.ID] = serviceOf(each)
	}
	s.services = next
}
