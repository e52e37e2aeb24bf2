package inventory_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// TestAnyOrderOfAnyRepetitionsEndsTheSame plays one story of a namespace to inventories in random orders, with repetitions.
func (s *InventorySuite) TestAnyOrderOfAnyRepetitionsEndsTheSame() {
	for seed := range uint64(12) {
		var want string
		for shuffle := range uint64(3) {
			s.SetupTest()
			got := s.played(rand.New(rand.NewPCG(seed, 7)), rand.New(rand.NewPCG(seed, shuffle)))
			if want == "" {
				want = got
			}
			s.Require().JSONEq(want, got, "seed %d", seed)
		}
	}
}

// played is the join after a story, which one source of chance makes and another shuffles.
func (s *InventorySuite) played(story, order *rand.Rand) string {
	for n := range 4 {
		s.verdicts[digestNumber(n)] = model.NotInViolation
	}
	s.verdicts[digestNumber(3)] = model.InViolation
	var signals []func()
	world := map[string]model.Pod{}
	for counter := int64(1); counter < 20; counter++ {
		uid := fmt.Sprint(story.IntN(5))
		change := workflows.PodsChanged{Cluster: "c", Namespace: "n", Version: model.Version{Epoch: 1, Counter: counter}, WriteBack: true}
		switch story.IntN(5) {
		case 0:
			delete(world, uid)
			change.Gone = []model.PodKey{{UID: uid, Name: "pod-" + uid}}
		case 1:
			signals = append(signals, s.parts(change, world)...)
			continue
		default:
			world[uid] = s.runs(uid, story.IntN(4), story.IntN(4))
			change.Pods = []model.Pod{world[uid]}
		}
		signals = append(signals, func() { s.env.SignalWorkflow(workflows.SignalPods.Name, change) })
	}
	for i, which := range append(order.Perm(len(signals)), order.Perm(len(signals))...) {
		s.at(time.Duration(i)*time.Duration(order.IntN(300))*time.Millisecond, signals[which])
	}
	var got []byte
	s.join(10*time.Minute, workflows.JoinQuery{}, func(rows []model.PodVerdict) {
		s.Len(rows, len(world))
		for i := range rows {
			s.Equal(model.StatusComplete, rows[i].Status)
		}
		var err error
		got, err = json.Marshal(rows)
		s.Require().NoError(err)
	})
	s.ends(time.Hour)
	s.Require().NoError(s.run())
	return string(got)
}

// parts are the signals of a snapshot of the world in two parts.
func (s *InventorySuite) parts(change workflows.PodsChanged, world map[string]model.Pod) []func() {
	halves := [2]workflows.PodsChanged{change, change}
	for i := range 5 {
		if p, ok := world[fmt.Sprint(i)]; ok {
			halves[i%2].Pods = append(halves[i%2].Pods, p)
		}
	}
	var signals []func()
	for i, half := range halves {
		part := workflows.SnapshotPart{PodsChanged: half, Part: i + 1, Parts: 2}
		signals = append(signals, func() { s.env.SignalWorkflow(workflows.SignalSnapshot.Name, part) })
	}
	return signals
}

// TestSnapshotLooksAfterImagesWithoutAVerdict: their scans may have been lost.
func (s *InventorySuite) TestSnapshotLooksAfterImagesWithoutAVerdict() {
	s.verdicts[digestNumber(1)] = model.NotInViolation
	s.change(0, 1, []model.Pod{s.runs("a", 1, 2)})
	s.snapshot(6*time.Minute, 2, s.runs("a", 1, 2))
	s.snapshot(7*time.Minute, 3, s.runs("a", 1, 2))
	s.at(8*time.Minute, func() {
		s.Require().Len(s.observed, 3)
		s.True(s.observed[2].Check)
		s.Equal(digestNumber(2), s.observed[2].Known.Digest)
	})
	s.ends(9 * time.Minute)
	s.Require().NoError(s.run())
}
