package conformance

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/perceiver"
	"github.com/perceptor/perceptor/model"
)

// Platform is a platform under test. Names are those of pods; an image is a tag of the platform's choice, such as "1".
type Platform interface {
	// Add runs a pod. Replace has the pod of that name run another image, as a deployment of the platform does. Remove ends it.
	Add(t *testing.T, name, tag string)
	Replace(t *testing.T, name, tag string)
	Remove(t *testing.T, name string)
	// Away has the platform's API fail until Back is called. What runs goes on, and may be changed meanwhile.
	Away(t *testing.T)
	Back(t *testing.T)
	// Repeat sends again what the platform has sent of its changes, and some of it out of order, where it sends changes at all.
	Repeat(t *testing.T)
	// Watch runs a perceiver until ctx ends.
	Watch(ctx context.Context, to perceiver.Reporter) error
}

// within is how long a change may take to be reported, also after an outage.
const within = 20 * time.Second

// quiet is how long to look whether nothing happens.
const quiet = time.Second

// Marked is a Platform onto whose pods its perceiver writes verdicts. RunMarked runs the behaviours of writing back.
type Marked interface {
	Platform
	// Write has the running perceiver write rows, which are read by a function, onto the pods with these UIDs.
	Write(ctx context.Context, uids []string, read func(context.Context, []string) ([]model.PodVerdict, error)) (model.WriteResult, error)
	// Shown is the overall status that a pod shows; empty where it shows none.
	Shown(t *testing.T, name string) model.OverallStatus
	// Deface has someone else change what a pod shows.
	Deface(t *testing.T, name string)
}

// Known is where the reports of a perceiver arrive. A World is one.
type Known interface {
	// Pods are the pods that are known.
	Pods() []model.Pod
	// Snapshots is how many snapshots have arrived.
	Snapshots() int
	// SetAway has every report fail until it is set to false.
	SetAway(away bool)
	// Wrong is what no perceiver may send and this one did.
	Wrong() []string
}

// Run runs all behaviours, each with a platform and a World of its own.
func Run(t *testing.T, start func(t *testing.T) Platform) {
	t.Helper()
	RunIn(t, func(t *testing.T) (Platform, Known) { return start(t), NewWorld() })
}

// RunIn is Run with another place where reports arrive. A place that takes no reports itself is not passed to Watch: that gets nil.
func RunIn(t *testing.T, start func(t *testing.T) (Platform, Known)) {
	t.Helper()
	runAll(t, reporting, start)
}

// RunMarked runs the behaviours of a perceiver that writes back.
func RunMarked(t *testing.T, start func(t *testing.T) Marked) {
	t.Helper()
	runAll(t, writingBack, func(t *testing.T) (Platform, Known) { return start(t), NewWorld() })
}

func runAll(t *testing.T, behaviours []behaviour, start func(t *testing.T) (Platform, Known)) {
	t.Helper()
	for _, b := range behaviours {
		t.Run(b.name, func(t *testing.T) {
			platform, known := start(t)
			s := &stage{t: t, Platform: platform, world: known, expected: map[string]string{}}
			b.run(s)
			s.stop()
			require.Empty(t, s.world.Wrong())
		})
	}
}

// behaviour is something that a perceiver must do.
type behaviour struct {
	name string
	run  func(s *stage)
}

// reporting is what every perceiver must do.
var reporting = []behaviour{
	{name: "what runs at the start is reported", run: func(s *stage) {
		s.add("a", "1")
		s.add("b", "2")
		s.watch()
		s.agree()
		require.Positive(s.t, s.world.Snapshots())
	}},
	{name: "an empty platform is reported as empty", run: func(s *stage) {
		s.watch()
		s.eventually("a snapshot", func() bool { return s.world.Snapshots() > 0 })
		s.agree()
	}},
	{name: "pods come, change and go", run: func(s *stage) {
		s.watch()
		s.add("a", "1")
		s.agree()
		s.add("b", "1")
		s.replace("a")
		s.agree()
		s.remove("a")
		s.agree()
		s.remove("b")
		s.agree()
	}},
	{name: "what happens while the perceiver is down is reported by the next one", run: func(s *stage) {
		s.add("a", "1")
		s.add("b", "1")
		s.add("c", "1")
		s.watch()
		s.agree()
		s.stop()
		s.remove("a")
		s.replace("b")
		s.add("d", "1")
		s.watch()
		s.agree()
	}},
	{name: "a restart where nothing has happened changes nothing", run: func(s *stage) {
		s.add("a", "1")
		s.watch()
		s.agree()
		before := s.world.Pods()
		s.stop()
		snapshots := s.world.Snapshots()
		s.watch()
		s.eventually("a new snapshot", func() bool { return s.world.Snapshots() > snapshots })
		s.agree()
		require.Equal(s.t, before, s.world.Pods())
	}},
	{name: "changes that are sent again change nothing", run: func(s *stage) {
		s.watch()
		s.add("a", "1")
		s.add("b", "1")
		s.agree()
		s.remove("b")
		s.agree()
		s.Repeat(s.t)
		s.still()
	}},
	{name: "a platform that does not answer has lost nothing, and what happened meanwhile is reported", run: func(s *stage) {
		s.add("a", "1")
		s.add("b", "1")
		s.watch()
		s.agree()
		s.Away(s.t)
		s.still()
		s.remove("a")
		s.replace("b")
		s.add("c", "1")
		s.Back(s.t)
		s.agree()
	}},
	{name: "what could not be reported is reported later", run: func(s *stage) {
		s.add("a", "1")
		s.watch()
		s.agree()
		s.world.SetAway(true)
		s.remove("a")
		s.add("b", "1")
		time.Sleep(quiet)
		s.world.SetAway(false)
		s.agree()
	}},
	{name: "a perceiver waits for Perceptor", run: func(s *stage) {
		s.world.SetAway(true)
		s.add("a", "1")
		s.watch()
		time.Sleep(quiet)
		s.world.SetAway(false)
		s.agree()
	}},
}

// writingBack is what every perceiver must do that writes verdicts back.
var writingBack = []behaviour{
	{name: "a verdict is written once, and again when someone changes it", run: func(s *stage) {
		s.watch()
		s.add("a", "1")
		s.agree()
		s.write(model.InViolation, model.WriteResult{Written: 1})
		s.shows("a", model.InViolation)
		s.write(model.InViolation, model.WriteResult{Unchanged: 1})
		s.marked().Deface(s.t, "a")
		s.eventually("the change to be reported", func() bool { return s.remarked("a") })
		s.write(model.InViolation, model.WriteResult{Written: 1})
		s.shows("a", model.InViolation)
	}},
	{name: "what is not judged never shows as fine", run: func(s *stage) {
		s.watch()
		s.add("a", "1")
		s.agree()
		s.write(model.NotInViolation, model.WriteResult{Written: 1})
		s.shows("a", model.NotInViolation)
		s.write(model.OverallUnknown, model.WriteResult{Written: 1})
		require.Contains(s.t, []model.OverallStatus{model.OverallUnknown, ""}, s.marked().Shown(s.t, "a"))
	}},
	{name: "a pod that has ended is gone, and its successor is left alone", run: func(s *stage) {
		s.watch()
		s.add("a", "1")
		s.agree()
		before := s.pod("a")
		s.replace("a")
		s.agree()
		s.writeTo(before, model.InViolation, model.WriteResult{Gone: []model.PodKey{before.Key()}})
		require.Empty(s.t, s.marked().Shown(s.t, "a"))
	}},
}

// stage is one behaviour being tried.
type stage struct {
	Platform
	t        *testing.T
	world    Known
	expected map[string]string // tags by names

	end     context.CancelFunc
	running sync.WaitGroup
}

func (s *stage) add(name, tag string) {
	s.t.Helper()
	s.Add(s.t, name, tag)
	s.expected[name] = tag
}

// replace gives a pod the second tag.
func (s *stage) replace(name string) {
	s.t.Helper()
	s.Replace(s.t, name, "2")
	s.expected[name] = "2"
}

func (s *stage) remove(name string) {
	s.t.Helper()
	s.Remove(s.t, name)
	delete(s.expected, name)
}

func (s *stage) watch() {
	ctx, cancel := context.WithCancel(context.Background())
	s.end = cancel
	to, _ := s.world.(perceiver.Reporter)
	s.running.Go(func() {
		if err := s.Watch(ctx, to); err != nil {
			s.t.Errorf("the perceiver ended: %v", err)
		}
	})
	s.t.Cleanup(func() { cancel(); s.running.Wait() })
}

func (s *stage) stop() {
	s.end()
	s.running.Wait()
}

// known are the tags of what is known, by names. A name that two pods have shows the tags of both.
func (s *stage) known() map[string]string {
	tags := map[string][]string{}
	for _, p := range s.world.Pods() {
		for _, c := range p.Containers {
			tags[p.Name] = append(tags[p.Name], c.Reference[strings.LastIndexByte(c.Reference, ':')+1:])
		}
	}
	known := map[string]string{}
	for name, of := range tags {
		slices.Sort(of)
		known[name] = strings.Join(of, ",")
	}
	return known
}

// agree waits until exactly what runs is known.
func (s *stage) agree() {
	s.t.Helper()
	s.eventually("the reports to agree", func() bool { return maps.Equal(s.known(), s.expected) })
}

// still checks that nothing changes for a while.
func (s *stage) still() {
	s.t.Helper()
	for end := time.Now().Add(quiet); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		require.Equal(s.t, s.expected, s.known())
	}
}

func (s *stage) eventually(what string, is func() bool) {
	s.t.Helper()
	for end := time.Now().Add(within); !is(); time.Sleep(20 * time.Millisecond) {
		require.True(s.t, time.Now().Before(end), "waited %s for %s: want %v, known %v", within, what, s.expected, s.known())
	}
}

// marked is the platform as one that is written to.
func (s *stage) marked() Marked {
	s.t.Helper()
	m, is := s.Platform.(Marked)
	require.True(s.t, is)
	return m
}

// pod is a pod that is known by its name.
func (s *stage) pod(name string) model.Pod {
	s.t.Helper()
	pods := s.world.Pods()
	n := slices.IndexFunc(pods, func(p model.Pod) bool { return p.Name == name })
	require.NotEqual(s.t, -1, n)
	return pods[n]
}

// write writes onto the pod of most stories.
func (s *stage) write(status model.OverallStatus, want model.WriteResult) {
	s.t.Helper()
	s.writeTo(s.pod("a"), status, want)
}

// writeTo has a verdict of all containers written onto a pod.
func (s *stage) writeTo(p model.Pod, status model.OverallStatus, want model.WriteResult) {
	s.t.Helper()
	read := func(context.Context, []string) ([]model.PodVerdict, error) {
		image := model.Summary{Status: model.StatusComplete, OverallStatus: status, Coverage: model.CoverageSummary{Components: 1, Assessed: 1, Satisfied: true}}
		if status == model.OverallUnknown {
			image = model.Unscanned("")
		}
		var containers []model.ContainerVerdict
		for _, c := range p.Containers {
			containers = append(containers, model.ContainerVerdict{Name: c.Name, Kind: c.Kind, Reference: c.Reference, Image: image})
		}
		return []model.PodVerdict{model.Join("c", p, containers)}, nil
	}
	result, err := s.marked().Write(s.t.Context(), []string{p.UID}, read)
	require.NoError(s.t, err)
	require.Equal(s.t, want, result)
}

// shows waits until a pod shows a status.
func (s *stage) shows(name string, status model.OverallStatus) {
	s.t.Helper()
	s.eventually("the pod to show "+string(status), func() bool { return s.marked().Shown(s.t, name) == status })
}

// remarked reports whether a change of a pod's marks was reported.
func (s *stage) remarked(name string) bool {
	w, is := s.world.(*World)
	return is && slices.ContainsFunc(w.Reports(), func(r model.PodReport) bool {
		return slices.ContainsFunc(r.Remark, func(key model.PodKey) bool { return key.Name == name })
	})
}
