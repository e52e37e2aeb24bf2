package activities

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/perceptor/perceptor/model"
)

// joinWorld stands in for the workflows around the join.
type joinWorld struct {
	lock sync.Mutex
	// chains are the images that run, odd those that show something else than is known; broken ones cannot be reached.
	chains      map[model.Digest]string
	odd, broken map[model.Digest]bool
	// open are the inventories that run; what begins with "broken" cannot be reached.
	open               []string
	observed, notified []string
	forgotten, emptied []string
}

var errDown = errors.New("down")

func (w *joinWorld) ObserveImage(_ context.Context, in EnsureImagesInput, e EnsureImage) error {
	w.lock.Lock()
	defer w.lock.Unlock()
	if w.broken[e.Known.Digest] {
		return errDown
	}
	w.observed = append(w.observed, in.Cluster+"/"+in.Namespace+" "+string(e.Known.Digest))
	return nil
}

func (w *joinWorld) CheckImage(_ context.Context, known model.Summary) (string, bool, error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	if w.broken[known.Digest] {
		return "", false, errDown
	}
	return w.chains[known.Digest], w.chains[known.Digest] != "" && !w.odd[known.Digest], nil
}

func (w *joinWorld) ForgetImage(_ context.Context, _ EnsureImagesInput, d model.Digest) error {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.forgotten = append(w.forgotten, string(d))
	return nil
}

func (w *joinWorld) NotifyInventory(_ context.Context, inventory string, _ model.Summary) (bool, error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	if strings.HasPrefix(inventory, "broken") {
		return false, errDown
	}
	w.notified = append(w.notified, inventory)
	return slices.Contains(w.open, inventory), nil
}

func (w *joinWorld) NotifyCluster(_ context.Context, s NamespaceSeen) error {
	w.notified = append(w.notified, s.Cluster)
	return nil
}

func (w *joinWorld) EmptyNamespace(_ context.Context, _ string, n EmptyNamespace, _ bool) (bool, error) {
	w.emptied = append(w.emptied, n.Name)
	return slices.Contains(w.open, n.Name), nil
}

// inventoryStep runs one step.
func inventoryStep[In, Out any](t *testing.T, step func(context.Context, In) (Out, error), in In) Out {
	t.Helper()
	env := new(testsuite.WorkflowTestSuite).NewTestActivityEnvironment()
	env.RegisterActivity(step)
	value, err := env.ExecuteActivity(step, in)
	require.NoError(t, err)
	var out Out
	require.NoError(t, value.Get(&out))
	return out
}

func TestImagesAreToldUnlessTheyAreAsTheyShouldBe(t *testing.T) {
	w := &joinWorld{
		chains: map[model.Digest]string{"fine": "f", "first": "1", "other": "new", "odd": "o"},
		odd:    map[model.Digest]bool{"odd": true}, broken: map[model.Digest]bool{"broken": true, "out": true},
	}
	run := func(d model.Digest, check bool, chain string) EnsureImage {
		return EnsureImage{Known: model.Unscanned(d), Check: check, Chain: chain}
	}
	in := EnsureImagesInput{Cluster: "c", Namespace: "n", Images: []EnsureImage{
		run("new", false, ""), run("fine", true, "f"), run("first", true, ""), run("other", true, "old"), run("odd", true, "o"), run("gone", true, "g"),
		run("broken", false, ""), run("out", true, ""),
	}, Forget: []model.Digest{"past"}}
	result := inventoryStep(t, NewInventorySteps(w).EnsureImages, in)
	slices.Sort(w.observed)
	require.Equal(t, []string{"c/n gone", "c/n new", "c/n odd", "c/n other"}, w.observed)
	require.Equal(t, map[model.Digest]string{"fine": "f", "first": "1"}, result.Chains)
	require.Equal(t, map[model.Digest]string{"broken": "down", "out": "down"}, result.Failed)
	require.Equal(t, []string{"past"}, w.forgotten)
}

func TestSummaryIsToldToAllAndThoseThatAreGoneAreNamed(t *testing.T) {
	w := &joinWorld{open: []string{"c/a", "c/b"}}
	result := inventoryStep(t, NewInventorySteps(w).PublishSummary, PublishSummaryInput{To: []string{"c/a", "c/gone", "broken/x", "c/b"}})
	slices.Sort(w.notified)
	require.Equal(t, []string{"c/a", "c/b", "c/gone"}, w.notified)
	require.Equal(t, PublishSummaryResult{Closed: []string{"c/gone"}, Failed: []string{"broken/x"}}, result)
}

func TestEmptiedNamespacesWithoutAnInventoryAreNamed(t *testing.T) {
	w := &joinWorld{open: []string{"a"}}
	in := EmptyNamespacesInput{Cluster: "c", Namespaces: []EmptyNamespace{{Name: "a"}, {Name: "b"}}}
	require.Equal(t, []string{"b"}, inventoryStep(t, NewInventorySteps(w).EmptyNamespaces, in).Closed)
	in.Forget = true
	require.Equal(t, []string{"a", "b"}, inventoryStep(t, NewInventorySteps(w).EmptyNamespaces, in).Closed)
}
