package inventory_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/inventory"
	"github.com/perceptor/perceptor/model"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(counter int64) model.Version { return model.Version{Epoch: 1, Counter: counter} }

func digestOf(n int) model.Digest { return model.Digest(fmt.Sprintf("sha256:%064x", n)) }

// pod runs the images of those numbers.
func pod(uid string, images ...int) model.Pod {
	p := model.Pod{UID: uid, Namespace: "n", Name: "pod-" + uid}
	for i, n := range images {
		p.Containers = append(p.Containers, model.Container{
			Name: fmt.Sprint("c", i), Reference: fmt.Sprintf("registry.example/app-%d:1", n), Digest: digestOf(n),
		})
	}
	return p
}

func names(b *inventory.Book) []string {
	var names []string
	rows, _ := b.Page("c", "n", inventory.Filter{})
	for _, row := range rows {
		names = append(names, row.UID)
	}
	return names
}

// resolve answers every question: what was reported is the manifest.
func resolve(b *inventory.Book, now time.Time) {
	for questions := b.Questions(now, 100, false); len(questions) > 0; questions = b.Questions(now, 100, false) {
		for _, q := range questions {
			b.Answered(now, q.Use, q.Reported, model.Name{Repository: "registry.example/app"})
		}
	}
}

func TestOlderAndRepeatedReportsChangeNothing(t *testing.T) {
	b := inventory.New(start, nil)
	b.Change(start, at(2), []model.Pod{pod("a", 1)}, nil)
	b.Change(start, at(1), []model.Pod{pod("a", 2)}, nil)
	b.Change(start, at(2), []model.Pod{pod("a", 3)}, nil)
	row, _ := b.Row("c", "n", "a")
	require.Equal(t, digestOf(1), row.Containers[0].Reported)
}

func TestTombstonesHoldUntilTheNextSnapshot(t *testing.T) {
	b := inventory.New(start, nil)
	b.Change(start, at(5), nil, []model.PodKey{{UID: "a", Name: "pod-a"}})
	b.Change(start, at(4), []model.Pod{pod("a", 1)}, nil)
	require.Empty(t, names(b), "a late report does not bring it back")
	b.Part(start, at(6), 0, 0, nil)
	require.Empty(t, b.Gone)
	b.Change(start, at(4), []model.Pod{pod("a", 1)}, nil)
	require.Empty(t, names(b), "what is older than the snapshot is ignored")
	b.Change(start, at(7), []model.Pod{pod("a", 1)}, nil)
	require.Equal(t, []string{"a"}, names(b))
}

func TestNameWithoutAUIDMeansWhatWasBefore(t *testing.T) {
	b := inventory.New(start, nil)
	b.Change(start, at(1), []model.Pod{pod("old", 1)}, nil)
	successor := pod("new", 1)
	successor.Name = "pod-old"
	b.Change(start, at(2), []model.Pod{successor}, []model.PodKey{{Name: "pod-old"}})
	require.Equal(t, []string{"new"}, names(b))
}

func TestOnlyACompleteSnapshotRemoves(t *testing.T) {
	b := inventory.New(start, nil)
	b.Change(start, at(1), []model.Pod{pod("old", 1)}, nil)
	b.Change(start, at(9), []model.Pod{pod("newer", 1)}, nil)
	b.Part(start, at(5), 2, 3, []model.Pod{pod("b", 1)})
	b.Part(start, at(5), 2, 3, []model.Pod{pod("b", 1)})
	b.Part(start, at(5), 3, 3, nil)
	require.Equal(t, []string{"b", "newer", "old"}, names(b))
	b.Part(start, at(5), 1, 3, []model.Pod{pod("a", 1)})
	require.Equal(t, []string{"a", "b", "newer"}, names(b))
	b.Part(start, at(4), 0, 0, nil)
	require.Equal(t, []string{"a", "b", "newer"}, names(b), "an older snapshot is ignored")
}

// TestOrderDoesNotMatter plays the reports of one world in random orders, with repetitions, and packs the book now and then.
func TestOrderDoesNotMatter(t *testing.T) {
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 1))
		reports := story(random)
		var want string
		for range 4 {
			b := inventory.New(start, nil)
			order := append(random.Perm(len(reports)), random.Perm(len(reports))...)
			for _, i := range order {
				reports[i](b)
				if random.IntN(20) == 0 {
					b = travelled(t, b)
				}
			}
			resolve(b, start)
			rows, _ := b.Page("c", "n", inventory.Filter{})
			text, err := json.Marshal(rows)
			require.NoError(t, err)
			if want == "" {
				want = string(text)
			}
			require.Equal(t, want, string(text), "seed %d", seed)
		}
	}
}

// story is a world that changes, as the reports that tell of it.
func story(random *rand.Rand) []func(*inventory.Book) {
	var reports []func(*inventory.Book)
	world := map[string]model.Pod{}
	for counter := int64(1); counter < 25; counter++ {
		uid := fmt.Sprint(random.IntN(8))
		switch random.IntN(6) {
		case 0:
			delete(world, uid)
			reports = append(reports, func(b *inventory.Book) { b.Change(start, at(counter), nil, []model.PodKey{{UID: uid}}) })
		case 1:
			var all []model.Pod
			for i := range 8 {
				if p, ok := world[fmt.Sprint(i)]; ok {
					all = append(all, p)
				}
			}
			parts := random.IntN(3) + 1
			for part := range parts {
				reports = append(reports, func(b *inventory.Book) {
					b.Part(start, at(counter), part+1, parts, all[len(all)*part/parts:len(all)*(part+1)/parts])
				})
			}
		default:
			p := pod(uid, random.IntN(4), random.IntN(4))
			world[uid] = p
			reports = append(reports, func(b *inventory.Book) { b.Change(start, at(counter), []model.Pod{p}, nil) })
		}
	}
	return reports
}

// travelled is the book in its next run.
func travelled(t *testing.T, b *inventory.Book) *inventory.Book {
	t.Helper()
	text, err := json.Marshal(inventory.Packed[inventory.Book]{Value: b})
	require.NoError(t, err)
	var packed inventory.Packed[inventory.Book]
	require.NoError(t, json.Unmarshal(text, &packed))
	packed.Value.Open(nil)
	return packed.Value
}

// TestRowsByWorkloadAndLabels: what a perceiver says of a pod's owner is in its row, changes with it, and travels.
func TestRowsByWorkloadAndLabels(t *testing.T) {
	b := inventory.New(start, nil)
	owned := func(uid, workload, team string) model.Pod {
		p := pod(uid, 1)
		p.Workload, p.Labels = model.Workload{Kind: "Deployment", Name: workload}, map[string]string{"team": team}
		return p
	}
	b.Change(start, at(1), []model.Pod{owned("a", "web", "shop"), owned("b", "web", "store"), owned("c", "db", "shop"), pod("d", 1)}, nil)
	found := func(f inventory.Filter) []string {
		t.Helper()
		text, err := json.Marshal(b)
		require.NoError(t, err)
		var travelled inventory.Book
		require.NoError(t, json.Unmarshal(text, &travelled))
		travelled.Open(nil)
		uids := []string{}
		rows, _ := travelled.Page("c", "n", f)
		for _, row := range rows {
			uids = append(uids, row.UID)
		}
		return uids
	}
	require.Equal(t, []string{"a", "b"}, found(inventory.Filter{Workload: "deployment/web"}))
	require.Equal(t, []string{"a", "c"}, found(inventory.Filter{Labels: map[string]string{"team": "shop"}}))
	require.Equal(t, []string{"a"}, found(inventory.Filter{Workload: "web", Labels: map[string]string{"team": "shop"}}))
	require.Empty(t, found(inventory.Filter{Labels: map[string]string{"team": ""}}), "a pod without the label does not have it with an empty value")
	b.Change(start, at(2), []model.Pod{owned("b", "web", "shop"), pod("a", 1)}, nil)
	require.Equal(t, []string{"b"}, found(inventory.Filter{Workload: "web", Labels: map[string]string{"team": "shop"}}))
}
