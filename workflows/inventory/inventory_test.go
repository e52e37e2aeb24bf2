package inventory_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/suite"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
	"github.com/perceptor/perceptor/workflows/inventory"
)

// Nil pointers that name steps.
const someHub = "hub-a"

var (
	registrySteps  *activities.RegistrySteps
	inventorySteps *activities.InventorySteps
	perceiverSteps *activities.PerceiverSteps
)

// InventorySuite runs Inventory with a registry, images and a perceiver that the test decides about.
type InventorySuite struct {
	suite.Suite
	testsuite.WorkflowTestSuite

	env *testsuite.TestWorkflowEnvironment
	// lock is for the questions to registries: two batches may be under way.
	lock sync.Mutex
	// manifests are what references lead to; others are not found.
	manifests map[string]model.Digest
	// asked are the references that a registry was asked for, with their platforms.
	asked []string
	// silent are references that no registry answers soon: whens are the ends of the batches that asked for them.
	silent map[string]bool
	whens  []activities.AnswerWhen
	// observed and forgotten are what images were notified of.
	observed  []activities.EnsureImage
	forgotten []model.Digest
	ensures   []activities.EnsureImagesInput
	// verdicts are what an image publishes once it is observed.
	verdicts map[model.Digest]model.OverallStatus
	// written are the batches of pods that were written to; write says what becomes of one.
	written [][]string
	write   func(activities.WriteVerdictsInput) (model.WriteResult, error)
	// reported are the counts that the cluster was sent.
	reported []workflows.NamespaceSeen
}

func TestInventory(t *testing.T) { suite.Run(t, new(InventorySuite)) }

func (s *InventorySuite) SetupTest() {
	s.env = s.NewTestWorkflowEnvironment()
	s.env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: workflows.InventoryID("c", "n")})
	s.env.SetTestTimeout(time.Minute)
	s.silent, s.whens = map[string]bool{}, nil
	s.manifests, s.verdicts = map[string]model.Digest{}, map[model.Digest]model.OverallStatus{}
	s.asked, s.observed, s.forgotten, s.written, s.reported, s.ensures = nil, nil, nil, nil, nil, nil
	s.write = func(in activities.WriteVerdictsInput) (model.WriteResult, error) {
		return model.WriteResult{Written: len(in.UIDs)}, nil
	}
	s.env.RegisterActivity(activities.NewRegistrySteps(nil, nil))
	s.env.RegisterActivity(activities.NewInventorySteps(nil))
	s.env.RegisterActivity(activities.NewPerceiverSteps(nil, nil))
	s.env.OnActivity(registrySteps.ResolveImages, mock.Anything, mock.Anything).Return(s.resolve).Maybe()
	s.env.OnActivity(inventorySteps.EnsureImages, mock.Anything, mock.Anything).Return(s.ensure).Maybe()
	s.env.OnActivity(perceiverSteps.WriteVerdicts, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in activities.WriteVerdictsInput) (model.WriteResult, error) {
			s.written = append(s.written, in.UIDs)
			return s.write(in)
		}).Maybe()
	s.env.OnActivity(inventorySteps.NotifyCluster, mock.Anything, mock.Anything).Return(
		func(_ context.Context, seen workflows.NamespaceSeen) error {
			s.reported = append(s.reported, seen)
			return nil
		}).Maybe()
	s.env.OnUpsertTypedSearchAttributes(mock.Anything).Return(nil).Maybe()
}

func (s *InventorySuite) resolve(_ context.Context, in activities.ResolveImagesInput) (activities.ResolveImagesResult, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	var result activities.ResolveImagesResult
	for _, r := range in.Requests {
		if r.Reported != "" {
			repository, _ := model.SplitReference(r.Reference)
			r.Reference = repository + "@" + string(r.Reported)
		}
		s.asked = append(s.asked, r.Reference+" "+r.Platform.String())
		if s.silent[r.Reference] {
			if s.whens = append(s.whens, in.When); in.When == activities.WhenSoon {
				result.Resolutions = append(result.Resolutions, activities.Resolution{Pending: true})
				continue
			}
		}
		found, ok := s.manifests[r.Reference+" "+r.Platform.Architecture]
		if !ok {
			found, ok = s.manifests[r.Reference]
		}
		if !ok {
			result.Resolutions = append(result.Resolutions, activities.Resolution{Failure: &activities.HubTrouble{Class: model.NotFound, Reason: "no such image"}})
			continue
		}
		repository, _, _ := strings.Cut(r.Reference, "@")
		result.Resolutions = append(result.Resolutions, activities.Resolution{Image: &activities.ResolvedImage{
			Digest: found, Name: model.Name{Repository: repository},
		}})
	}
	return result, nil
}

func (s *InventorySuite) ensure(_ context.Context, in activities.EnsureImagesInput) (activities.EnsureImagesResult, error) {
	s.ensures = append(s.ensures, in)
	result := activities.EnsureImagesResult{Chains: map[model.Digest]string{}}
	for _, e := range in.Images {
		s.observed = append(s.observed, e)
		if e.Check {
			result.Chains[e.Known.Digest] = "chain"
		}
		if verdict, ok := s.verdicts[e.Known.Digest]; ok && !e.Check {
			s.env.SignalWorkflow(workflows.SignalSummary.Name, judged(e.Known.Digest, 1, verdict))
		}
	}
	s.forgotten = append(s.forgotten, in.Forget...)
	return result, nil
}

func judged(d model.Digest, version int64, verdict model.OverallStatus) model.Summary {
	return model.Summary{
		Digest: d, Version: model.Version{Epoch: 1, Counter: version}, Status: model.StatusComplete, OverallStatus: verdict, Hubs: []string{someHub},
	}
}

func digestNumber(n int) model.Digest { return model.Digest(fmt.Sprintf("sha256:%064x", n)) }

// runs is a pod with one container for each image, which are their own manifests.
func (s *InventorySuite) runs(uid string, images ...int) model.Pod {
	p := model.Pod{UID: uid, Namespace: "n", Name: "pod-" + uid, Platform: model.Platform{OS: "linux", Architecture: "amd64"}}
	for i, n := range images {
		d := digestNumber(n)
		s.manifests["registry.example/app@"+string(d)] = d
		p.Containers = append(p.Containers, model.Container{Name: fmt.Sprint("c", i), Reference: "registry.example/app:1", Digest: d})
	}
	return p
}

func (s *InventorySuite) at(after time.Duration, do func()) { s.env.RegisterDelayedCallback(do, after) }

func (s *InventorySuite) change(after time.Duration, counter int64, pods []model.Pod, gone ...model.PodKey) {
	s.at(after, func() {
		s.env.SignalWorkflow(workflows.SignalPods.Name, workflows.PodsChanged{
			Cluster: "c", Namespace: "n", Version: model.Version{Epoch: 1, Counter: counter}, Pods: pods, Gone: gone, WriteBack: true,
		})
	})
}

func (s *InventorySuite) snapshot(after time.Duration, counter int64, pods ...model.Pod) {
	s.at(after, func() {
		parts := 1
		if len(pods) == 0 {
			parts = 0
		}
		s.env.SignalWorkflow(workflows.SignalSnapshot.Name, workflows.SnapshotPart{Part: parts, Parts: parts, PodsChanged: workflows.PodsChanged{
			Cluster: "c", Namespace: "n", Version: model.Version{Epoch: 1, Counter: counter}, Pods: pods, WriteBack: true,
		}})
	})
}

func (s *InventorySuite) join(after time.Duration, q workflows.JoinQuery, look func(rows []model.PodVerdict)) {
	s.at(after, func() {
		value, err := s.env.QueryWorkflow(workflows.QueryJoin, q)
		s.Require().NoError(err)
		var page workflows.JoinPage
		s.Require().NoError(value.Get(&page))
		look(page.Rows)
	})
}

func (s *InventorySuite) status(after time.Duration, look func(workflows.InventoryView)) {
	s.at(after, func() {
		value, err := s.env.QueryWorkflow(workflows.QueryStatus)
		s.Require().NoError(err)
		var view workflows.InventoryView
		s.Require().NoError(value.Get(&view))
		look(view)
	})
}

// run runs the inventory until it continues as new or ends.
func (s *InventorySuite) run() error {
	s.env.ExecuteWorkflow(inventory.Inventory, workflows.InventoryInput{Cluster: "c", Namespace: "n"})
	s.Require().True(s.env.IsWorkflowCompleted())
	return s.env.GetWorkflowError()
}

// ends empties the namespace, so that the inventory ends a day later.
func (s *InventorySuite) ends(after time.Duration) { s.snapshot(after, 1<<40) }

func (s *InventorySuite) TestRegistryThatDoesNotAnswerSoonIsAskedApartFromOthers() {
	s.verdicts[digestNumber(1)] = model.NotInViolation
	s.silent["registry.example/app@"+string(digestNumber(2))] = true
	s.change(0, 1, []model.Pod{s.runs("a", 1), s.runs("b", 2)})
	s.join(time.Second, workflows.JoinQuery{}, func(rows []model.PodVerdict) {
		s.Require().Len(rows, 2)
		s.Equal(model.NotInViolation, rows[0].OverallStatus)
		s.NotEqual(model.NotInViolation, rows[1].OverallStatus)
	})
	s.ends(time.Minute)
	s.Require().NoError(s.run())
	s.Equal([]activities.AnswerWhen{activities.WhenSoon, activities.WhenSome}, s.whens)
}

func (s *InventorySuite) TestPodGetsItsVerdictAndItIsWrittenOnce() {
	s.verdicts[digestNumber(1)] = model.InViolation
	s.change(0, 1, []model.Pod{s.runs("a", 1, 1), s.runs("b", 1)})
	s.join(time.Second, workflows.JoinQuery{}, func(rows []model.PodVerdict) {
		s.Require().Len(rows, 2)
		s.Equal(model.StatusComplete, rows[0].Status)
		s.Equal(model.InViolation, rows[0].OverallStatus)
		s.Equal(digestNumber(1), rows[0].Containers[0].Image.Digest)
	})
	s.ends(time.Minute)
	s.Require().NoError(s.run())
	s.Equal([]string{"registry.example/app@" + string(digestNumber(1)) + " linux/amd64"}, s.asked)
	s.Len(s.observed, 1)
	s.Equal([][]string{{"a", "b"}}, s.written)
	s.Equal([]model.Digest{digestNumber(1)}, s.forgotten)
}

func (s *InventorySuite) TestSameIndexOnTwoPlatformsInThreeFormsIsTwoImages() {
	index, amd, arm := digestNumber(9), digestNumber(1), digestNumber(2)
	s.manifests["registry.example/app@"+string(index)+" amd64"] = amd
	s.manifests["registry.example/app@"+string(index)+" arm64"] = arm
	s.manifests["registry.example/app@"+string(amd)] = amd
	s.manifests["registry.example/app:1 amd64"] = amd
	form := func(uid, architecture string, reported model.Digest) model.Pod {
		return model.Pod{UID: uid, Name: uid, Namespace: "n", Platform: model.Platform{OS: "linux", Architecture: architecture}, Containers: []model.Container{
			{Name: "c", Reference: "registry.example/app:1", Digest: reported},
		}}
	}
	s.change(0, 1, []model.Pod{form("index-amd", "amd64", index), form("index-arm", "arm64", index), form("manifest", "amd64", amd), form("tag", "amd64", "")})
	s.join(time.Second, workflows.JoinQuery{}, func(rows []model.PodVerdict) {
		s.Require().Len(rows, 4)
		for _, row := range rows {
			want := amd
			if row.Name == "index-arm" {
				want = arm
			}
			s.Equal(want, row.Containers[0].Image.Digest, row.Name)
			s.Equal(model.StatusInQueue, row.Status)
		}
	})
	s.ends(time.Minute)
	s.Require().NoError(s.run())
	s.Require().Len(s.observed, 2)
	s.Equal([]model.Name{{Repository: "registry.example/app", Tag: "1"}, {Repository: "registry.example/app:1", Tag: "1"}}, s.observed[0].Names)
}

func (s *InventorySuite) TestPendingContainerIsScannedByItsTagUntilItsDigestIsKnown() {
	s.manifests["registry.example/app:1"] = digestNumber(1)
	pending := s.runs("a", 2)
	pending.Containers[0].Digest = ""
	s.change(0, 1, []model.Pod{pending})
	s.change(time.Minute, 2, []model.Pod{s.runs("a", 2)})
	s.ends(time.Hour)
	s.Require().NoError(s.run())
	s.Equal(digestNumber(1), s.observed[0].Known.Digest)
	s.Equal(digestNumber(2), s.observed[1].Known.Digest)
	s.Equal([]model.Digest{digestNumber(1), digestNumber(2)}, s.forgotten)
}

func (s *InventorySuite) TestWhatCannotBeResolvedIsShownAndTriedAgain() {
	lost := s.runs("a", 1)
	delete(s.manifests, "registry.example/app@"+string(digestNumber(1)))
	s.change(0, 1, []model.Pod{lost})
	s.join(time.Second, workflows.JoinQuery{}, func(rows []model.PodVerdict) {
		s.Equal(model.StatusFailed, rows[0].Status)
		s.Equal(model.OverallUnknown, rows[0].OverallStatus)
		f := rows[0].Containers[0].Image.Failure
		s.Equal(model.NotFound, f.Class)
		s.Equal("no such image", f.Reason)
		s.Equal(1, f.Attempt)
		s.Equal(time.Minute, f.NextTry.Sub(f.At))
	})
	s.at(90*time.Second, func() { s.manifests["registry.example/app@"+string(digestNumber(1))] = digestNumber(1) })
	s.join(5*time.Minute, workflows.JoinQuery{}, func(rows []model.PodVerdict) {
		s.Equal(model.StatusInQueue, rows[0].Status)
		s.Nil(rows[0].Containers[0].Image.Failure)
	})
	s.ends(time.Hour)
	s.Require().NoError(s.run())
	s.Len(s.asked, 3, "at once, after one minute, after two more")
}

func (s *InventorySuite) TestUnchangedSnapshotOnlyComparesMarks() {
	s.verdicts[digestNumber(1)] = model.NotInViolation
	s.snapshot(0, 1, s.runs("a", 1))
	for i := range int64(10) {
		s.snapshot(time.Duration(i+1)*time.Minute, i+2, s.runs("a", 1))
	}
	s.at(20*time.Minute, func() {
		s.Len(s.asked, 1)
		s.Len(s.observed, 1)
		s.Len(s.written, 11, "each snapshot has the marks compared; the writer sends nothing where they stand")
		s.LessOrEqual(len(s.reported), 2)
	})
	s.ends(21 * time.Minute)
	s.Require().NoError(s.run())
}

func (s *InventorySuite) TestImagesAreLookedAfterAndToldAgain() {
	s.verdicts[digestNumber(1)] = model.NotInViolation
	s.change(0, 1, []model.Pod{s.runs("a", 1)})
	s.ends(13 * time.Hour)
	s.Require().NoError(s.run())
	checks := slices.IndexFunc(s.observed[1:], func(e activities.EnsureImage) bool { return !e.Check })
	s.GreaterOrEqual(checks, 23, "every half hour, until after twelve hours it is notified again")
	s.Equal("chain", s.observed[2].Chain)
	s.Equal(model.StatusComplete, s.observed[1].Known.Status)
}

func (s *InventorySuite) TestOneWriteAtATimeAndFailuresLater() {
	s.verdicts[digestNumber(1)], s.verdicts[digestNumber(2)] = model.NotInViolation, model.InViolation
	outstanding, refuse := 0, true
	s.write = func(in activities.WriteVerdictsInput) (model.WriteResult, error) {
		outstanding++
		defer func() { outstanding-- }()
		s.Equal(1, outstanding)
		if refuse {
			return model.WriteResult{}, temporal.NewNonRetryableApplicationError("forbidden", string(model.Unauthorized), nil)
		}
		var result model.WriteResult
		for _, uid := range in.UIDs {
			switch uid {
			case "gone":
				result.Gone = append(result.Gone, model.PodKey{UID: uid, Name: "pod-gone"})
			case "stuck":
				if len(s.written) < 4 {
					result.Failed = append(result.Failed, model.WriteFailure{Pod: model.PodKey{UID: uid, Name: "pod-stuck"}, Class: model.Transient, Reason: "conflict"})
				}
			}
		}
		return result, nil
	}
	s.change(0, 1, []model.Pod{s.runs("a", 1), s.runs("gone", 1), s.runs("stuck", 1)})
	s.status(20*time.Second, func(v workflows.InventoryView) {
		s.Equal(3, v.Unwritten)
		s.Equal(model.Unauthorized, v.WriteFailure.Class)
		refuse = false
	})
	s.change(2*time.Minute, 2, []model.Pod{s.runs("b", 2)})
	s.status(time.Hour, func(v workflows.InventoryView) {
		s.Equal(0, v.Unwritten)
		s.Nil(v.WriteFailure)
		s.Equal(3, v.Pods, "what the perceiver does not find is gone")
	})
	s.ends(2 * time.Hour)
	s.Require().NoError(s.run())
	s.Equal([]string{"a", "gone", "stuck"}, s.written[0])
	s.Equal([]string{"stuck"}, s.written[len(s.written)-1])
}

// TestGreenVerdictThatEndsIsWrittenAgain: without a new scan, and the pod counts as unknown from then on.
func (s *InventorySuite) TestGreenVerdictThatEndsIsWrittenAgain() {
	s.verdicts[digestNumber(1)] = model.NotInViolation
	s.snapshot(0, 1, s.runs("a", 1))
	s.at(time.Minute, func() {
		s.env.SignalWorkflow(workflows.SignalSummary.Name, model.Summary{
			Digest: digestNumber(1), Version: model.Version{Epoch: s.env.Now().UnixNano()}, Status: model.StatusComplete, OverallStatus: model.NotInViolation,
			Coverage: model.CoverageSummary{Components: 1, Assessed: 1, Satisfied: true, ValidUntil: s.env.Now().Add(time.Hour)},
		})
	})
	writes := 0
	s.status(30*time.Minute, func(v workflows.InventoryView) { writes = len(s.written); s.Zero(v.Unknown) })
	s.status(90*time.Minute, func(v workflows.InventoryView) {
		s.Len(s.written, writes+1)
		s.Equal([]string{"a"}, s.written[writes])
		s.Equal(1, v.Unknown)
		s.Len(s.asked, 1)
	})
	s.ends(2 * time.Hour)
	s.Require().NoError(s.run())
}

func (s *InventorySuite) TestPerceiverThatIsAwayIsTriedLater() {
	s.verdicts[digestNumber(1)] = model.NotInViolation
	s.write = func(activities.WriteVerdictsInput) (model.WriteResult, error) {
		return model.WriteResult{}, errors.New("no")
	}
	s.change(0, 1, []model.Pod{s.runs("a", 1)})
	s.status(5*time.Minute, func(v workflows.InventoryView) { s.Equal(1, v.Unwritten) })
	s.snapshot(6*time.Minute, 2, s.runs("a", 1))
	s.at(6*time.Minute-time.Second, func() {
		s.write = func(activities.WriteVerdictsInput) (model.WriteResult, error) {
			return model.WriteResult{Written: 1}, nil
		}
	})
	s.status(6*time.Minute+time.Second, func(v workflows.InventoryView) { s.Equal(0, v.Unwritten, "a snapshot shows that it is back") })
	s.ends(time.Hour)
	s.Require().NoError(s.run())
}

func (s *InventorySuite) TestClusterIsToldAtOnceThenNowAndThenAndAtTheEnd() {
	s.verdicts[digestNumber(1)] = model.InViolation
	s.change(0, 1, []model.Pod{s.runs("a", 1)})
	for i := range 20 {
		s.change(time.Duration(i+1)*time.Second, int64(i+2), []model.Pod{s.runs(fmt.Sprint(i), 1)})
	}
	s.ends(10 * time.Minute)
	s.Require().NoError(s.run())
	s.Equal(1, s.reported[0].Pods)
	s.Equal(21, s.reported[1].Pods)
	s.Equal(21, s.reported[1].Violations)
	last := s.reported[len(s.reported)-1]
	s.True(last.Ended)
	s.Equal(0, last.Pods)
	for i, seen := range s.reported[1:] {
		s.True(s.reported[i].Version.Before(seen.Version))
	}
}

func (s *InventorySuite) TestForgottenInventoryEndsAtOnceAndTellsItsImages() {
	s.change(0, 1, []model.Pod{s.runs("a", 1)})
	s.at(time.Minute, func() {
		s.env.SignalWorkflow(workflows.SignalSnapshot.Name, workflows.SnapshotPart{
			Forget: true, PodsChanged: workflows.PodsChanged{Cluster: "c", Namespace: "n"},
		})
	})
	began := s.env.Now()
	s.Require().NoError(s.run())
	s.Less(s.env.Now().Sub(began), time.Hour)
	s.Equal([]model.Digest{digestNumber(1)}, s.forgotten)
	s.False(s.reported[len(s.reported)-1].Ended, "the cluster is not notified, so that it does not come back")
}

func (s *InventorySuite) TestQuietInventoryContinuesAsNewWithAllItKnows() {
	s.verdicts[digestNumber(1)] = model.InViolation
	s.change(0, 1, []model.Pod{s.runs("a", 1)})
	err := s.run()
	var next *workflow.ContinueAsNewError
	s.Require().ErrorAs(err, &next)
	s.Equal("Inventory", next.WorkflowType.Name)
}

func (s *InventorySuite) TestBareImagesAreLessUrgentThanPods() {
	bare := s.runs("a", 1)
	bare.Bare, bare.Name = true, ""
	s.at(0, func() {
		s.env.SignalWorkflow(workflows.SignalPods.Name, workflows.PodsChanged{
			Cluster: "c", Namespace: workflows.BareImages, Version: model.Version{Epoch: 1, Counter: 1}, Pods: []model.Pod{bare},
		})
	})
	s.at(time.Minute, func() {
		s.env.SignalWorkflow(workflows.SignalSnapshot.Name, workflows.SnapshotPart{PodsChanged: workflows.PodsChanged{
			Cluster: "c", Namespace: workflows.BareImages, Version: model.Version{Epoch: 1, Counter: 1 << 40},
		}})
	})
	s.env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: workflows.InventoryID("c", workflows.BareImages)})
	s.env.ExecuteWorkflow(inventory.Inventory, workflows.InventoryInput{Cluster: "c", Namespace: workflows.BareImages})
	s.Require().NoError(s.env.GetWorkflowError())
	s.Equal(string(workflows.PriorityImage), s.ensures[0].Priority)
	s.Equal("c", s.ensures[0].Cluster)
}
