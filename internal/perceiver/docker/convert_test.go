package docker

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/swarm"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/perceiver"
	"github.com/perceptor/perceptor/internal/perceiver/trouble"
	"github.com/perceptor/perceptor/model"
)

// pulled is an image that a registry gave under these names.
func pulled(digests ...string) imageInfo {
	return infoOf(image.InspectResponse{RepoDigests: digests, Os: "linux", Architecture: "amd64"}, "")
}

func TestContainersBecomePods(t *testing.T) {
	id := strings.Repeat("c", 64)
	app := pulled("registry.example/app@" + sum(1))
	for what, row := range map[string]struct {
		c    container.Summary
		want string // namespace/pod/container
	}{
		"a container":             {container.Summary{Names: []string{"/tidy_bohr"}}, "default/tidy_bohr/tidy_bohr"},
		"one that others link to": {container.Summary{Names: []string{"/web/db", "/mydb"}}, "default/mydb/mydb"},
		"one without a name":      {container.Summary{}, "default/cccccccccccc/cccccccccccc"},
		"a Compose service": {
			container.Summary{Names: []string{"/shop-web-2"}, Labels: map[string]string{composeProject: "shop", composeService: "web", composeNumber: "2", composeOneOff: "False"}},
			"shop/web-2/web",
		},
		"one run of a Compose service": {
			container.Summary{Names: []string{"/shop-web-run-ab12"}, Labels: map[string]string{composeProject: "shop", composeService: "web", composeNumber: "1", composeOneOff: "True"}},
			"shop/shop-web-run-ab12/web",
		},
		"a project without a service": {container.Summary{Names: []string{"/x"}, Labels: map[string]string{composeProject: "shop"}}, "shop/x/x"},
		"empty labels":                {container.Summary{Names: []string{"/x"}, Labels: map[string]string{composeProject: "", composeService: ""}}, "default/x/x"},
		"labels of slashes": {container.Summary{Names: []string{"/x"}, Labels: map[string]string{
			composeProject: "///", composeService: "/",
			composeNumber: "/",
		}}, "default/x/x"},
		"slashes in labels": {
			container.Summary{Names: []string{"/x"}, Labels: map[string]string{composeProject: "../shop\n", composeService: "a b", composeNumber: "1/2"}}, "..-shop-/a-b-1-2/a-b",
		},
		"a namespace of our own": {container.Summary{Names: []string{"/x"}, Labels: map[string]string{composeProject: "_images"}}, "-images/x/x"},
		"a task whose Swarm another engine manages": {
			container.Summary{Names: []string{"/shop_web.1.abc"}, Labels: map[string]string{swarmTask: "t1", swarmService: "shop_web", stackNamespace: "shop"}},
			"shop/shop_web.1.abc/shop_web",
		},
		"broken text": {container.Summary{Names: []string{"/\xff\xfe"}, Labels: map[string]string{composeProject: "a\xffb"}}, "a-b/" + strings.Repeat("c",
			64) + "/" + strings.Repeat("c", 64)},
	} {
		t.Run(what, func(t *testing.T) {
			row.c.ID, row.c.Image = id, "registry.example/app:1"
			pod := containerPod(row.c, app)
			require.NoError(t, pod.Check())
			require.Equal(t, row.want, pod.Namespace+"/"+pod.Name+"/"+pod.Containers[0].Name)
			require.Equal(t, id, pod.UID)
			require.Equal(t, "linux/amd64", pod.Platform.String())
			require.Equal(t, model.Container{Name: pod.Containers[0].Name, Kind: model.ContainerMain, Reference: "registry.example/app:1", Digest: model.Digest(sum(1))}, pod.Containers[0])
		})
	}
}

func TestImagesAreKnownByTheirRegistrysDigest(t *testing.T) {
	config := sum(9)
	hub, other := "redis@"+sum(1), "mirror.example:5000/redis@"+sum(2)
	for what, row := range map[string]struct {
		reference string
		info      imageInfo
		want      string
		problem   string
	}{
		"an image of Docker Hub":                 {"redis:7", pulled(hub), "docker.io/library/redis:7@" + sum(1), ""},
		"its long name":                          {"docker.io/library/redis:7", pulled(hub), "docker.io/library/redis:7@" + sum(1), ""},
		"of two registries that of the name":     {"mirror.example:5000/redis:7", pulled(hub, other), "mirror.example:5000/redis:7@" + sum(2), ""},
		"a name that no registry gave":           {"mine:1", pulled(other), "mirror.example:5000/redis@" + sum(2), ""},
		"a pinned name":                          {"redis@" + sum(1), pulled(hub), "docker.io/library/redis@" + sum(1), ""},
		"by its ID":                              {config, pulled(other), "mirror.example:5000/redis@" + sum(2), ""},
		"by a short ID":                          {"0123abcd", pulled(other), "mirror.example:5000/redis@" + sum(2), ""},
		"built here, with an ID":                 {"app:dev", infoOf(image.InspectResponse{ID: config, RepoTags: []string{"app:dev"}}, "E:1"), "app:dev@" + config, ""},
		"built here, of an engine without ID":    {"app:dev", infoOf(image.InspectResponse{ID: config}, ""), "app:dev", problemLocal},
		"built here, of an engine with a bad ID": {"app:dev", infoOf(image.InspectResponse{ID: config}, "a/b"), "app:dev", problemLocal},
		"pulled, with an ID":                     {"redis:7", infoOf(image.InspectResponse{ID: config, RepoDigests: []string{hub}}, "E:1"), "docker.io/library/redis:7@" + sum(1), ""},
		"built here":                             {"app:dev", infoOf(image.InspectResponse{RepoTags: []string{"app:dev"}}, "E:1"), "app:dev", problemLocal},
		"built here, by its ID":                  {config, infoOf(image.InspectResponse{RepoTags: []string{"app:dev"}}, "E:1"), "app:dev", problemLocal},
		"built here without a name":              {config, infoOf(image.InspectResponse{}, "E:1"), strings.TrimPrefix(config, "sha256:"), problemLocal},
		"an image that lost its names":           {config, pulled("<none>@<none>", "<none>@"+sum(3)), strings.TrimPrefix(config, "sha256:"), problemLocal},
		"digests that are none":                  {"app:1", pulled("app@sha256:short", "app@sha512:"+strings.Repeat("a", 128), "@"+sum(1), "a b@"+sum(1), ""), "app:1", problemLocal},
		"no name at all":                         {"", infoOf(image.InspectResponse{}, "E:1"), "unnamed", problemLocal},
		"a name with a space":                    {"a b:1", pulled(other), "mirror.example:5000/redis@" + sum(2), ""},
		"a name that is too long":                {strings.Repeat("a", 9000), infoOf(image.InspectResponse{}, "E:1"), strings.Repeat("a", model.TagLength), problemLocal},
		"more names than anyone has, one right":  {"x:1", pulled(append(slices.Repeat([]string{"<none>@<none>"}, 99), other)...), "mirror.example:5000/redis@" + sum(2), ""},
	} {
		t.Run(what, func(t *testing.T) {
			c := row.info.container("c", row.reference)
			require.NoError(t, model.Pod{UID: "u", Namespace: "n", Name: "p", Containers: []model.Container{c}}.Check())
			got := c.Reference
			if c.Digest != "" {
				got += "@" + string(c.Digest)
			}
			require.Equal(t, row.want, got)
			require.Equal(t, row.problem, c.Problem)
			require.NotEqual(t, c.Digest == "", c.Problem == "", "a digest or a problem")
			require.Equal(t, c.Digest == model.Digest(config), c.Engine != "", "an engine is named where its ID of the image is")
		})
	}
}

func TestPlatformsInTheWordsOfRegistries(t *testing.T) {
	for _, row := range [][4]string{
		{"linux", "x86_64", "", "linux/amd64"},
		{"linux", "aarch64", "", "linux/arm64"},
		{"Linux", "AMD64", "", "linux/amd64"},
		{"linux", "armv7l", "", "linux/arm/v7"},
		{"linux", "armv6l", "", "linux/arm/v6"},
		{"linux", "i686", "", "linux/386"},
		{"linux", "arm64", "v8", "linux/arm64"},
		{"windows", "amd64", "", "windows/amd64"},
		{"linux", "a\x00b", "", ""},
		{"linux", strings.Repeat("a", 500), "", ""},
		{"", "", "", ""},
	} {
		require.Equal(t, row[3], platformOf(row[0], row[1], row[2]).String())
	}
}

// swarmOf is a Swarm of one service on two nodes, seen by the first.
func swarmOf(states map[int]swarm.TaskState, spec string) *fakeState {
	f := &fakeState{about: About{Swarm: Manages, ClusterID: "s", Node: "n1"}}
	f.services = []swarm.Service{{ID: "s1", Spec: swarm.ServiceSpec{Annotations: swarm.Annotations{Name: "shop_web", Labels: map[string]string{stackNamespace: "shop"}}}}}
	for n, architecture := range map[string]string{"n1": "x86_64", "n2": "aarch64"} {
		f.nodes = append(f.nodes, swarm.Node{ID: n, Description: swarm.NodeDescription{Platform: swarm.Platform{OS: "linux", Architecture: architecture}}})
	}
	for _, slot := range slices.Sorted(maps.Keys(states)) {
		f.tasks = append(f.tasks, swarm.Task{
			ID: fmt.Sprint("t", slot), ServiceID: "s1", Slot: slot, NodeID: []string{"n2", "n1"}[slot%2], Status: swarm.TaskStatus{State: states[slot]},
			Spec: swarm.TaskSpec{ContainerSpec: &swarm.ContainerSpec{Image: spec}},
		})
	}
	return f
}

// podsOf reads a state once, as "namespace/pod" with what is reported of its image.
func (f *fakeState) podsOf(t *testing.T, s *state) map[string]string {
	t.Helper()
	list, err := s.read(t.Context(), f.about)
	require.NoError(t, err)
	pods := map[string]string{}
	for uid, p := range list.Pods {
		require.NoError(t, p.Check())
		require.Equal(t, uid, p.UID)
		c := p.Containers[0]
		pods[p.Namespace+"/"+p.Name] = strings.Join([]string{c.Reference, string(c.Digest), p.Platform.String(), c.Problem}, " ")
	}
	return pods
}

func newTestState(t *testing.T, e Engine, s perceiver.Selection) *state {
	t.Helper()
	filter, err := perceiver.NewFilter(s)
	require.NoError(t, err)
	return newState(e, filter, trouble.New(slog.New(slog.DiscardHandler)))
}

func TestTasksBecomePods(t *testing.T) {
	states := map[int]swarm.TaskState{}
	for i, s := range []swarm.TaskState{
		swarm.TaskStateRunning, swarm.TaskStateRunning, swarm.TaskStatePreparing, swarm.TaskStateNew, swarm.TaskStatePending, swarm.TaskStateComplete,
		swarm.TaskStateShutdown, swarm.TaskStateFailed, swarm.TaskStateRejected, swarm.TaskStateRemove, swarm.TaskStateOrphaned, "odd", "",
	} {
		states[i+1] = s
	}
	f := swarmOf(states, "registry.example/app:1@"+sum(1))
	require.Equal(t, map[string]string{
		"shop/shop_web.1": "registry.example/app:1 " + sum(1) + " linux/amd64 ",
		"shop/shop_web.2": "registry.example/app:1 " + sum(1) + " linux/arm64 ",
		"shop/shop_web.3": "registry.example/app:1 " + sum(1) + " linux/amd64 ",
	}, f.podsOf(t, newTestState(t, f, perceiver.Selection{})))
}

func TestOddTasks(t *testing.T) {
	f := swarmOf(map[int]swarm.TaskState{1: swarm.TaskStateRunning, 2: swarm.TaskStateRunning, 3: swarm.TaskStateRunning, 4: swarm.TaskStateRunning}, "registry.example/app:1@"+sum(1))
	f.tasks[0].Slot = 0 // of a global service
	f.tasks[1].NodeID = ""
	f.tasks[2].Spec = swarm.TaskSpec{} // a plugin
	f.tasks[3].ServiceID = "unknown"
	f.tasks[3].NodeID = "n3"
	require.Equal(t, map[string]string{
		"shop/shop_web.n1":  "registry.example/app:1 " + sum(1) + " linux/amd64 ",
		"default/unknown.4": "registry.example/app:1 " + sum(1) + "  ",
	}, f.podsOf(t, newTestState(t, f, perceiver.Selection{})))
}

// TestTaskWithoutADigest: what another node runs under a name is not known; what this node runs is.
func TestTaskWithoutADigest(t *testing.T) {
	f := swarmOf(map[int]swarm.TaskState{1: swarm.TaskStateRunning, 2: swarm.TaskStateRunning}, "app:1")
	f.images = map[string]image.InspectResponse{sum(7): {RepoDigests: []string{"app@" + sum(1)}, Os: "linux", Architecture: "amd64"}}
	f.containers = []container.Summary{
		{ID: "c1", Names: []string{"/shop_web.1.t1"}, Image: "app:1", ImageID: sum(7), Labels: map[string]string{swarmTask: "t1"}},
		{ID: "c9", Names: []string{"/shop_web.9.t9"}, Image: "app:1", ImageID: sum(7), Labels: map[string]string{swarmTask: "t9", stackNamespace: "shop"}},
	}
	require.Equal(t, map[string]string{
		"shop/shop_web.1":    "docker.io/library/app:1 " + sum(1) + " linux/amd64 ",
		"shop/shop_web.2":    "app:1  linux/arm64 " + problemService,
		"shop/shop_web.9.t9": "docker.io/library/app:1 " + sum(1) + " linux/amd64 ", // its task is not known, but it runs
	}, f.podsOf(t, newTestState(t, f, perceiver.Selection{})))
}

// TestRemovedServiceKeepsItsName: tasks that are being stopped do not move to another namespace.
func TestRemovedServiceKeepsItsName(t *testing.T) {
	f := swarmOf(map[int]swarm.TaskState{1: swarm.TaskStateRunning}, "registry.example/app:1@"+sum(1))
	s := newTestState(t, f, perceiver.Selection{})
	before := f.podsOf(t, s)
	f.services = nil
	require.Equal(t, before, f.podsOf(t, s))
	f.tasks = nil
	require.Empty(t, f.podsOf(t, s))
	require.Empty(t, s.services, "and is forgotten with its last task")
}

// TestTasksThatCannotBeReadStay: a manager without a quorum, or one that is locked, is not a Swarm without tasks.
func TestTasksThatCannotBeReadStay(t *testing.T) {
	f := swarmOf(map[int]swarm.TaskState{1: swarm.TaskStateRunning}, "registry.example/app:1@"+sum(1))
	s := newTestState(t, f, perceiver.Selection{})
	before := f.podsOf(t, s)
	f.swarmFails = errors.New("the swarm does not have a leader")
	f.containers = []container.Summary{{ID: "c1", Names: []string{"/plain"}, Image: "app:1", ImageID: "odd"}}
	for _, answer := range []Swarm{Manages, CannotSay} {
		f.about.Swarm = answer
		list, err := s.read(t.Context(), f.about)
		require.NoError(t, err)
		require.True(t, list.Partial)
		require.Contains(t, list.Pods, "t1")
		require.Equal(t, problemNoID, list.Pods["c1"].Containers[0].Problem)
	}
	f.swarmFails, f.about.Swarm, f.containers = nil, Manages, nil
	require.Equal(t, before, f.podsOf(t, s))
	f.about.Swarm = NoManager // it has left the Swarm
	require.Empty(t, f.podsOf(t, s))
}

func TestSelection(t *testing.T) {
	f := &fakeState{images: map[string]image.InspectResponse{
		sum(1): {RepoDigests: []string{"pause@" + sum(11)}}, sum(2): {RepoDigests: []string{"registry.example/app@" + sum(12)}},
	}}
	f.containers = []container.Summary{
		{ID: "c1", Names: []string{"/pause"}, Image: "pause:3", ImageID: sum(1)},
		{ID: "c2", Names: []string{"/in"}, Image: "registry.example/app", ImageID: sum(2), Labels: map[string]string{composeProject: "shop"}},
		{ID: "c3", Names: []string{"/out"}, Image: "registry.example/app", ImageID: sum(2), Labels: map[string]string{composeProject: "sandbox"}},
		{ID: "c4", Names: []string{"/exited"}, Image: "registry.example/app", ImageID: sum(2), State: container.StateExited},
	}
	pods := f.podsOf(t, newTestState(t, f, perceiver.Selection{ExcludedNamespaces: []string{"sand*"}, IgnoredImages: []string{"*/pause"}}))
	require.Equal(t, []string{"shop/in"}, slices.Collect(maps.Keys(pods)))
}

// FuzzContainer: whatever an engine says, what is reported can be accepted, and an image without a digest has a problem.
func FuzzContainer(f *testing.F) {
	f.Add("id", "/name", "app:1", "shop", "web", "1", "app@"+sum(1))
	f.Add("\x00", "//", "sha256:", "_", "\u2028", "-", "@")
	f.Fuzz(func(t *testing.T, id, name, reference, project, service, number, digest string) {
		pod := containerPod(container.Summary{ID: id, Names: []string{name}, Image: reference, Labels: map[string]string{
			composeProject: project, composeService: service, composeNumber: number, swarmService: service,
		}}, pulled(digest))
		if pod.UID == "" {
			return // not reported
		}
		require.NoError(t, pod.Check())
		require.NotEqual(t, pod.Containers[0].Digest == "", pod.Containers[0].Problem == "")
	})
}
