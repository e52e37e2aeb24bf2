package cluster_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/suite"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/testsuite"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
	"github.com/perceptor/perceptor/workflows/cluster"
)

// ClusterSuite runs Cluster with inventories that the test decides about.
type ClusterSuite struct {
	suite.Suite
	testsuite.WorkflowTestSuite

	env *testsuite.TestWorkflowEnvironment
	// emptied are the namespaces that were notified that they are empty; closed are those without an inventory.
	emptied []activities.EmptyNamespace
	closed  map[string]bool
	forgot  int
}

// inventorySteps names the steps as the workflow does.
var inventorySteps *activities.InventorySteps

func TestCluster(t *testing.T) { suite.Run(t, new(ClusterSuite)) }

func (s *ClusterSuite) SetupTest() {
	s.env = s.NewTestWorkflowEnvironment()
	s.env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: workflows.ClusterID("c")})
	s.env.SetTestTimeout(time.Minute)
	s.emptied, s.closed, s.forgot = nil, map[string]bool{}, 0
	s.env.RegisterActivity(activities.NewInventorySteps(nil))
	s.env.OnActivity(inventorySteps.EmptyNamespaces, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in activities.EmptyNamespacesInput) (activities.EmptyNamespacesResult, error) {
			s.emptied = append(s.emptied, in.Namespaces...)
			var result activities.EmptyNamespacesResult
			for _, n := range in.Namespaces {
				if s.closed[n.Name] || in.Forget {
					result.Closed = append(result.Closed, n.Name)
				}
			}
			if in.Forget {
				s.forgot += len(in.Namespaces)
			}
			return result, nil
		}).Maybe()
}

func (s *ClusterSuite) seen(after time.Duration, counter int64, namespace string, pods int) {
	s.env.RegisterDelayedCallback(func() {
		s.env.SignalWorkflow(workflows.SignalNamespace.Name, workflows.NamespaceSeen{
			Cluster: "c", Namespace: namespace, Pods: max(pods, 0), Version: model.Version{Epoch: 1, Counter: counter}, Ended: pods < 0,
		})
	}, after)
}

func (s *ClusterSuite) end(after time.Duration, counter int64, scope model.SnapshotScope, namespaces ...string) {
	s.env.RegisterDelayedCallback(func() {
		e := workflows.SnapshotEnd{Cluster: "c", Version: model.Version{Epoch: 1, Counter: counter}, Scope: scope, Namespaces: map[string]int{}}
		for _, name := range namespaces {
			e.Namespaces[name] = 1
		}
		s.env.SignalWorkflow(workflows.SignalSnapshotEnd.Name, e)
	}, after)
}

func (s *ClusterSuite) view(after time.Duration, look func(workflows.ClusterView)) {
	s.env.RegisterDelayedCallback(func() {
		value, err := s.env.QueryWorkflow(workflows.QueryStatus)
		s.Require().NoError(err)
		var view workflows.ClusterView
		s.Require().NoError(value.Get(&view))
		look(view)
	}, after)
}

// run runs the cluster until it is forgotten, after a time.
func (s *ClusterSuite) run(forget time.Duration) {
	s.env.RegisterDelayedCallback(func() {
		s.env.SignalWorkflow(workflows.SignalForgetCluster.Name, workflows.ForgetCluster{})
	}, forget)
	s.env.ExecuteWorkflow(cluster.Cluster, workflows.ClusterInput{Cluster: "c"})
	s.Require().True(s.env.IsWorkflowCompleted())
	s.Require().NoError(s.env.GetWorkflowError())
}

func spaces(v workflows.ClusterView) []string {
	var names []string
	for _, n := range v.Namespaces {
		names = append(names, n.Namespace)
	}
	return names
}

func (s *ClusterSuite) TestSnapshotEmptiesWhatItDoesNotName() {
	s.seen(0, 1, "kept", 3)
	s.seen(0, 1, "gone", 2)
	s.seen(0, 1, "closed", 2)
	s.closed["closed"] = true
	s.end(time.Minute, 5, model.ScopeAll, "kept", "new")
	s.view(2*time.Minute, func(v workflows.ClusterView) {
		s.Equal([]string{"gone", "kept", "new"}, spaces(v), "without an inventory, a namespace is nothing")
		s.Equal(int64(5), v.Snapshot.Counter)
	})
	s.seen(3*time.Minute, 2, "gone", 0)
	s.end(4*time.Minute, 6, model.ScopeAll, "kept", "new")
	s.end(5*time.Minute, 4, model.ScopeAll)
	s.seen(6*time.Minute, 3, "gone", -1)
	s.view(7*time.Minute, func(v workflows.ClusterView) { s.Equal([]string{"kept", "new"}, spaces(v)) })
	s.run(8 * time.Minute)
	s.Equal([]activities.EmptyNamespace{{Name: "closed", Version: model.Version{Epoch: 1, Counter: 5}}, {Name: "gone", Version: model.Version{Epoch: 1, Counter: 5}}}, s.emptied[:2])
	s.Equal(2, s.forgot)
}

func (s *ClusterSuite) TestNamespaceOfAnEarlierIncarnationIsEmptiedWhenItIsHeardOf() {
	s.end(0, 5, model.ScopeAll, "named")
	s.seen(time.Minute, 1, "named", 1)
	s.seen(time.Minute, 1, "ghost", 4)
	s.run(2 * time.Minute)
	s.Equal([]activities.EmptyNamespace{{Name: "ghost", Version: model.Version{Epoch: 1, Counter: 5}}}, s.emptied[:1])
}

func (s *ClusterSuite) TestSnapshotOfPodsLeavesBareImagesAlone() {
	s.seen(0, 1, workflows.BareImages, 3)
	s.seen(0, 1, "n", 3)
	s.end(time.Minute, 5, model.ScopePods, "n")
	s.end(2*time.Minute, 6, model.ScopeImages, workflows.BareImages)
	s.view(3*time.Minute, func(workflows.ClusterView) { s.Empty(s.emptied) })
	s.end(4*time.Minute, 7, model.ScopeImages)
	s.view(5*time.Minute, func(workflows.ClusterView) {
		s.Equal([]activities.EmptyNamespace{{Name: workflows.BareImages, Version: model.Version{Epoch: 1, Counter: 7}}}, s.emptied)
	})
	s.run(6 * time.Minute)
}

func (s *ClusterSuite) TestOlderCountsChangeNothing() {
	s.seen(0, 5, "n", 3)
	s.seen(time.Second, 4, "n", 9)
	s.view(time.Minute, func(v workflows.ClusterView) { s.Equal(3, v.Namespaces[0].Pods) })
	s.run(time.Hour)
}

func (s *ClusterSuite) TestForgottenClusterEnds() {
	for _, name := range []string{"a", "b", "c"} {
		s.seen(0, 1, name, 1)
	}
	began := s.env.Now()
	s.run(time.Hour)
	s.Equal(3, s.forgot)
	s.Less(s.env.Now().Sub(began), 2*time.Hour)
}

// updated is the outcome of an update.
type updated struct {
	value any
	err   error
}

func (u *updated) Accept()                       {}
func (u *updated) Reject(err error)              { u.err = err }
func (u *updated) Complete(value any, err error) { u.value, u.err = value, err }

func (s *ClusterSuite) update(after time.Duration, name string, in any) *updated {
	u := &updated{}
	s.env.RegisterDelayedCallback(func() { s.env.UpdateWorkflow(name, "", u, in) }, after)
	return u
}

// TestEpochsGrowWhateverTheClocksSay: a perceiver whose clock is behind that of an earlier one is heard all the same.
func (s *ClusterSuite) TestEpochsGrowWhateverTheClocksSay() {
	first := s.update(time.Second, workflows.UpdateBegin, workflows.BeginCluster{Identity: "one"})
	ahead := s.env.Now().Add(24 * time.Hour).UnixNano()
	s.env.RegisterDelayedCallback(func() {
		s.env.SignalWorkflow(workflows.SignalSnapshotEnd.Name, workflows.SnapshotEnd{Cluster: "c", Version: model.Version{Epoch: ahead, Counter: 1}})
	}, 2*time.Second)
	second := s.update(3*time.Second, workflows.UpdateBegin, workflows.BeginCluster{Identity: "one"})
	third := s.update(4*time.Second, workflows.UpdateBegin, workflows.BeginCluster{Identity: "one"})
	goesOn := s.update(5*time.Second, workflows.UpdateBegin, workflows.BeginCluster{Identity: "one", Epoch: ahead + 2})
	ignored := s.update(6*time.Second, workflows.UpdateBegin, workflows.BeginCluster{Identity: "one", Epoch: ahead + 1})
	s.run(time.Minute)
	s.Require().NoError(errors.Join(first.err, second.err, third.err))
	s.Equal(workflows.BegunCluster{Epoch: ahead + 1}, second.value)
	s.Equal(workflows.BegunCluster{Epoch: ahead + 2}, third.value)
	s.Equal(third.value, goesOn.value, "a perceiver that is heard keeps its epoch")
	s.Equal(workflows.BegunCluster{Epoch: ahead + 3}, ignored.value, "one whose reports are older than others gets a newer one")
}

// TestSecondClusterOfOneNameIsRefused: until an operator adopts it. Then the first one is refused.
func (s *ClusterSuite) TestSecondClusterOfOneNameIsRefused() {
	first := s.update(time.Second, workflows.UpdateBegin, workflows.BeginCluster{Identity: "one"})
	early := s.update(2*time.Second, workflows.UpdateAdopt, workflows.AdoptCluster{})
	second := s.update(3*time.Second, workflows.UpdateBegin, workflows.BeginCluster{Identity: "two"})
	unread := s.update(4*time.Second, workflows.UpdateBegin, workflows.BeginCluster{})
	again := s.update(5*time.Second, workflows.UpdateBegin, workflows.BeginCluster{Identity: "two"})
	s.view(6*time.Second, func(v workflows.ClusterView) {
		s.Equal("one", v.Identity)
		s.Equal("two", v.Conflict.Identity)
	})
	adopted := s.update(7*time.Second, workflows.UpdateAdopt, workflows.AdoptCluster{})
	taken := s.update(8*time.Second, workflows.UpdateBegin, workflows.BeginCluster{Identity: "two"})
	refused := s.update(9*time.Second, workflows.UpdateBegin, workflows.BeginCluster{Identity: "one"})
	s.run(time.Minute)
	s.Require().NoError(errors.Join(first.err, adopted.err, taken.err))
	s.ErrorContains(early.err, "nothing to adopt")
	for _, u := range []*updated{second, unread, again, refused} {
		s.ErrorContains(u.err, "the name belongs to another cluster")
	}
}

// TestHealthOfThePerceiverIsShown: what it cannot do, until it can.
func (s *ClusterSuite) TestHealthOfThePerceiverIsShown() {
	trouble := model.PerceiverHealth{Troubles: []model.Trouble{{Kind: model.TroubleWrite, Reason: "no role", Count: 3}}, Refused: 3}
	s.env.RegisterDelayedCallback(func() { s.env.SignalWorkflow(workflows.SignalHealth.Name, trouble) }, time.Second)
	s.view(2*time.Second, func(v workflows.ClusterView) { s.Equal(trouble, v.Health) })
	s.env.RegisterDelayedCallback(func() { s.env.SignalWorkflow(workflows.SignalHealth.Name, model.PerceiverHealth{Refused: 3}) }, 3*time.Second)
	s.view(4*time.Second, func(v workflows.ClusterView) { s.Empty(v.Health.Troubles) })
	s.run(time.Minute)
}

// TestResetVersionLetsTheNextSnapshotCount: a snapshot of a clock that was ahead silences the others, until an operator resets it.
func (s *ClusterSuite) TestResetVersionLetsTheNextSnapshotCount() {
	ahead := s.env.Now().Add(23 * time.Hour).UnixNano()
	s.env.RegisterDelayedCallback(func() {
		s.env.SignalWorkflow(workflows.SignalSnapshotEnd.Name, workflows.SnapshotEnd{
			Cluster: "c", Version: model.Version{Epoch: ahead, Counter: 1}, Namespaces: map[string]int{"n": 1},
		})
	}, time.Second)
	s.end(2*time.Second, 5, "", "m")
	s.view(3*time.Second, func(v workflows.ClusterView) {
		s.Equal([]string{"n"}, spaces(v))
		s.Equal(ahead, v.Snapshot.Epoch)
		s.env.SignalWorkflow(workflows.SignalResetVersion.Name, workflows.ResetVersion{})
	})
	s.end(4*time.Second, 5, "", "m")
	s.view(5*time.Second, func(v workflows.ClusterView) {
		s.Equal([]string{"m", "n"}, spaces(v))
		s.Equal(model.Version{Epoch: 1, Counter: 5}, v.Snapshot)
	})
	s.run(time.Minute)
}
