package docker

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/swarm"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/perceiver/conformance"
	"github.com/perceptor/perceptor/model"
)

const waitFor = 20 * time.Second

func eventually(t *testing.T, is func() bool) {
	t.Helper()
	require.Eventually(t, is, waitFor, 20*time.Millisecond)
}

// names are the pods that are known, as namespace/pod.
func names(w *conformance.World) string {
	var all []string
	for _, p := range w.Pods() {
		all = append(all, p.Namespace+"/"+p.Name)
	}
	return strings.Join(all, " ")
}

// TestOddEventStreams: whatever comes as events, what runs is known soon. Each stream ends or goes on; the container that starts
// afterwards is seen.
func TestOddEventStreams(t *testing.T) {
	for what, text := range map[string]string{
		"garbage":                  "\x00\xff<html>no</html>\n",
		"half an event":            `{"Type":"container","Action":"st`,
		"another form":             `[1,2,3]` + "\n",
		"wrong types":              `{"Type":7,"Action":{}}` + "\n",
		"unknown types":            `{"Type":"quantum","Action":"entangle"}` + "\n" + `{}` + "\n" + `null` + "\n",
		"an event without an end":  `{"Type":"` + strings.Repeat("a", eventLimit+10),
		"deep nesting":             strings.Repeat("[", 100_000) + "\n",
		"thousands of odd actions": strings.Repeat(eventText(events.ContainerEventType, "exec_start: /bin/true", "x"), 5000),
		"nothing":                  "",
	} {
		t.Run(what, func(t *testing.T) {
			f, w := startFake(t), conformance.NewWorld()
			f.run("a", "1", nil)
			watchFake(t, f, Options{Reporter: w})
			eventually(t, func() bool { return names(w) == "default/a" })
			f.send(text)
			f.run("b", "1", nil)
			eventually(t, func() bool { return names(w) == "default/a default/b" })
			require.Empty(t, w.Wrong())
		})
	}
}

// TestQuietEventsMakeNoLists: a health check each second does not have an engine listed each second.
func TestQuietEventsMakeNoLists(t *testing.T) {
	f, w := startFake(t), conformance.NewWorld()
	watchFake(t, f, Options{Reporter: w})
	eventually(t, func() bool { return len(w.Reports()) == 1 })
	before := f.timesAsked("/containers/json")
	for range 20 {
		f.send(eventText(events.ContainerEventType, "health_status: healthy", "x"))
		f.send(eventText(events.NetworkEventType, events.ActionConnect, "x"))
		time.Sleep(20 * time.Millisecond)
	}
	require.Equal(t, before, f.timesAsked("/containers/json"))
	for range 200 {
		f.send(eventText(events.ContainerEventType, events.ActionStart, "x"))
		time.Sleep(2 * time.Millisecond)
	}
	time.Sleep(gatherTime)
	listed := f.timesAsked("/containers/json") - before
	require.Positive(t, listed)
	require.Less(t, listed, 10, "200 events in half a second are few lists")
	require.Len(t, w.Reports(), 1, "and no report where nothing has changed")
}

// TestOddAnswers: an engine that answers nonsense has lost nothing.
func TestOddAnswers(t *testing.T) {
	for what, a := range map[string]answer{
		"an error":         {500, `{"message":"no"}`},
		"another form":     {200, `{"containers":[]}`},
		"no JSON":          {200, `<html>`},
		"half an answer":   {200, `[{"Id":"a"`},
		"a refusal":        {403, `{"message":"authorization denied by plugin"}`},
		"not there":        {404, `page not found`},
		"an empty message": {503, ``},
	} {
		t.Run(what, func(t *testing.T) {
			f, w := startFake(t), conformance.NewWorld()
			f.run("a", "1", nil)
			watchFake(t, f, Options{Reporter: w})
			eventually(t, func() bool { return names(w) == "default/a" })
			f.change(func() { f.answers["/containers/json"] = a })
			f.run("b", "1", nil)
			asked := f.timesAsked("/containers/json")
			eventually(t, func() bool { return f.timesAsked("/containers/json") > asked+1 })
			require.Equal(t, "default/a", names(w))
			f.change(func() { delete(f.answers, "/containers/json") })
			eventually(t, func() bool { return names(w) == "default/a default/b" })
		})
	}
}

// TestImageThatCannotBeRead: one image does not hold up the others, and its pod says why it is unknown until it can be read.
func TestImageThatCannotBeRead(t *testing.T) {
	f, w := startFake(t), conformance.NewWorld()
	broken, gone := f.run("broken", "1", nil), f.run("gone", "2", nil)
	f.run("well", "3", nil)
	path := "/images/" + broken.ImageID + "/json"
	f.change(func() {
		f.answers[path] = answer{500, `{"message":"layer\u0000 is damaged"}`}
		delete(f.images, gone.ImageID)
	})
	watchFake(t, f, Options{Reporter: w})
	problem := func(name string) string {
		for _, p := range w.Pods() {
			if p.Name == name {
				return p.Containers[0].Problem
			}
		}
		return "no pod"
	}
	eventually(t, func() bool { return len(w.Pods()) == 3 })
	require.Contains(t, problem("broken"), "is damaged")
	require.Equal(t, problemGone, problem("gone"))
	require.Empty(t, problem("well"))
	f.change(func() { delete(f.answers, path) })
	f.send(eventText(events.ImageEventType, events.ActionPull, "x"))
	eventually(t, func() bool { return problem("broken") == "" })
	require.Empty(t, w.Wrong())
}

// TestPushedImageHasADigest: an image that was built here and is pushed later is known by the digest of its registry.
func TestPushedImageHasADigest(t *testing.T) {
	f, w := startFake(t), conformance.NewWorld()
	c := f.run("a", "1", nil)
	f.change(func() {
		local := f.images[c.ImageID]
		local.RepoDigests = nil
		f.images[c.ImageID] = local
	})
	watchFake(t, f, Options{Reporter: w})
	eventually(t, func() bool { return len(w.Pods()) == 1 && w.Pods()[0].Containers[0].Engine != "" })
	require.Equal(t, model.Digest(c.ImageID), w.Pods()[0].Containers[0].Digest)
	f.change(func() {
		pushed := f.images[c.ImageID]
		pushed.RepoDigests = []string{"registry.example/app@" + sum(5)}
		f.images[c.ImageID] = pushed
	})
	f.send(eventText(events.ImageEventType, events.ActionPush, "registry.example/app:1"))
	eventually(t, func() bool { return w.Pods()[0].Containers[0].Digest == model.Digest(sum(5)) })
	require.Empty(t, w.Pods()[0].Containers[0].Engine)
}

// TestSwarmBeginsAndEnds: an engine that becomes a manager reports the tasks too, under the identity of the Swarm.
func TestSwarmBeginsAndEnds(t *testing.T) {
	f, w := startFake(t), conformance.NewWorld()
	f.run("a", "1", nil)
	var identity atomic.Value
	watchFake(t, f, Options{Reporter: w, Begin: func(_ context.Context, id string) (int64, error) {
		identity.Store(id)
		return time.Now().UnixNano(), nil
	}})
	eventually(t, func() bool { return names(w) == "default/a" })
	require.Equal(t, "engine:engine-1", identity.Load())
	f.change(func() {
		f.info.Swarm = swarm.Info{NodeID: "n1", LocalNodeState: swarm.LocalNodeStateActive, ControlAvailable: true, Cluster: &swarm.ClusterInfo{ID: "swarm-1"}}
		f.services = []swarm.Service{{ID: "s1", Spec: swarm.ServiceSpec{Annotations: swarm.Annotations{Name: "web"}}}}
		f.tasks = []swarm.Task{{
			ID: "t1", ServiceID: "s1", Slot: 1, NodeID: "n2", Status: swarm.TaskStatus{State: swarm.TaskStateRunning},
			Spec: swarm.TaskSpec{ContainerSpec: &swarm.ContainerSpec{Image: "registry.example/app:1@" + sum(1)}},
		}}
	})
	f.send(eventText(events.NodeEventType, events.ActionCreate, "n1"))
	eventually(t, func() bool { return names(w) == "default/a default/web.1" })
	require.Equal(t, "swarm:swarm-1", identity.Load())

	// Another node starts a task: there is no event of that here.
	f.change(func() {
		second := f.tasks[0]
		second.ID, second.Slot = "t2", 2
		f.tasks = append(f.tasks, second)
	})
	eventually(t, func() bool { return names(w) == "default/a default/web.1 default/web.2" })

	// The Swarm has lost its leader: nothing is gone, and what happens to containers is still reported.
	f.change(func() { f.answers["/tasks"] = answer{503, `{"message":"The swarm does not have a leader"}`} })
	f.run("b", "1", nil)
	eventually(t, func() bool { return names(w) == "default/a default/b default/web.1 default/web.2" })
	f.change(func() {
		delete(f.answers, "/tasks")
		f.tasks = f.tasks[:1]
	})
	eventually(t, func() bool { return names(w) == "default/a default/b default/web.1" })
	require.Empty(t, w.Wrong())
}

// TestEngineThatIsBeingStoppedHasNotLeftItsSwarm: for some seconds it says that it is no manager. Its tasks are known until it is sure.
func TestEngineThatIsBeingStoppedHasNotLeftItsSwarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := swarmOf(map[int]swarm.TaskState{1: swarm.TaskStateRunning}, "registry.example/app:1@"+sum(1))
		p, err := New(Options{Cluster: "c", Engine: f, Reporter: conformance.NewWorld()})
		require.NoError(t, err)
		says := func(s Swarm) Swarm {
			f.about.Swarm = s
			about, err := p.ask(t.Context())
			require.NoError(t, err)
			return about.Swarm
		}
		require.Equal(t, NoManager, says(NoManager), "an engine that never managed one")
		require.Equal(t, Manages, says(Manages))
		require.Equal(t, CannotSay, says(NoManager), "it may be stopping")
		time.Sleep(leaveTime - time.Second)
		require.Equal(t, CannotSay, says(NoManager))
		require.Equal(t, Manages, says(Manages), "it was started again")
		require.Equal(t, CannotSay, says(NoManager))
		time.Sleep(leaveTime)
		require.Equal(t, NoManager, says(NoManager), "it has left")
		require.Equal(t, NoManager, says(NoManager))
	})
}

// TestHealthSaysWhatCannotBeRead: an engine that does not answer, and a Swarm whose tasks cannot be read, until they answer again.
func TestHealthSaysWhatCannotBeRead(t *testing.T) {
	f := startFake(t)
	f.info.Swarm = swarm.Info{LocalNodeState: swarm.LocalNodeStateActive, ControlAvailable: true, NodeID: "node-1", Cluster: &swarm.ClusterInfo{ID: "swarm-1"}}
	var last atomic.Pointer[[]model.Trouble]
	watchFake(t, f, Options{Reporter: conformance.NewWorld(), Health: func(_ context.Context, h model.PerceiverHealth) error {
		last.Store(&h.Troubles)
		return nil
	}})
	kinds := func() string {
		var all []string
		list := last.Load()
		if list == nil {
			return "nothing is reported"
		}
		for _, each := range *list {
			all = append(all, string(each.Kind))
		}
		return strings.Join(all, ", ")
	}
	eventually(t, func() bool { return kinds() == "" })
	f.change(func() { f.answers["/tasks"] = answer{http.StatusInternalServerError, `{"message":"no quorum"}`} })
	eventually(t, func() bool { return kinds() == "read tasks" })
	require.Contains(t, (*last.Load())[0].Reason, "no quorum")
	f.change(func() { f.answers["/tasks"] = answer{} })
	eventually(t, func() bool { return kinds() == "" })
	f.Away(t)
	eventually(t, func() bool { return kinds() == "read pods" })
	f.Back(t)
	eventually(t, func() bool { return kinds() == "" })
}

// TestOtherEngineEndsThePerceiver: what belongs to another engine is not overwritten.
func TestOtherEngineEndsThePerceiver(t *testing.T) {
	f, w := startFake(t), conformance.NewWorld()
	f.run("a", "1", nil)
	e, err := f.connect()
	require.NoError(t, err)
	p, err := New(Options{Cluster: "c", Engine: e, Reporter: w, Begin: func(context.Context, string) (int64, error) { return 0, ErrOtherEngine }})
	require.NoError(t, err)
	require.ErrorIs(t, p.Run(t.Context()), ErrOtherEngine)
	require.Empty(t, w.Reports())
}

// TestNothingIsReportedBeforeTheClusterIsRegistered and what fails is tried again.
func TestNothingIsReportedBeforeTheClusterIsRegistered(t *testing.T) {
	f, w := startFake(t), conformance.NewWorld()
	var tries atomic.Int32
	watchFake(t, f, Options{Reporter: w, Begin: func(context.Context, string) (int64, error) {
		if tries.Add(1) < 3 {
			return 0, errors.New("no answer")
		}
		return 7, nil
	}})
	eventually(t, func() bool { return len(w.Reports()) == 1 })
	require.EqualValues(t, 7, w.Reports()[0].Version.Epoch)
	require.EqualValues(t, 3, tries.Load())
}

func TestOptionsThatCannotWork(t *testing.T) {
	_, err := New(Options{Cluster: "a/b", SnapshotInterval: -1})
	require.ErrorContains(t, err, "slash")
	require.ErrorContains(t, err, "interval")
	_, err = Connect(Connection{Host: "unix:///a", Context: "b"})
	require.ErrorContains(t, err, "either")
	_, err = Connect(Connection{Host: "nonsense"})
	require.Error(t, err)
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	_, err = Connect(Connection{Context: "none-of-this-name"})
	require.ErrorContains(t, err, "none-of-this-name")
	t.Setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
	t.Setenv("DOCKER_CERT_PATH", t.TempDir())
	_, err = Connect(Connection{})
	require.ErrorContains(t, err, "TLS", "certificates that are not there are an error, not a connection without TLS")
}
