package record_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/record"
	"github.com/perceptor/perceptor/model"
)

// start is the time at which every test begins.
var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(d time.Duration) time.Time { return start.Add(d) }

func version(counter int64) model.Version { return model.Version{Epoch: 1, Counter: counter} }

func inventory(id string, counter int64) model.Reference {
	return model.Reference{Kind: model.ReferenceInventory, ID: id, Version: version(counter)}
}

// add adds a reference for which there is room.
func add(t *testing.T, to *record.References, r model.Reference) bool {
	t.Helper()
	news, err := to.Add(r)
	require.NoError(t, err)
	return news
}

func TestReferencesKeepTheNewestOfEachReferrer(t *testing.T) {
	add := func(r model.Reference) func(*record.References) {
		return func(rs *record.References) { add(t, rs, r) }
	}
	remove := func(r model.Reference) func(*record.References) {
		return func(rs *record.References) { rs.Remove(r) }
	}
	person := model.Reference{Kind: model.ReferencePerson, ID: "a", Version: version(1)}
	for _, c := range []struct {
		name  string
		steps []func(*record.References)
		want  []model.Reference
	}{
		{"one", []func(*record.References){add(inventory("a", 1))}, []model.Reference{inventory("a", 1)}},
		{"newer replaces older", []func(*record.References){add(inventory("a", 1)), add(inventory("a", 2))}, []model.Reference{inventory("a", 2)}},
		{"older changes nothing", []func(*record.References){add(inventory("a", 2)), add(inventory("a", 1))}, []model.Reference{inventory("a", 2)}},
		{"two referrers", []func(*record.References){add(inventory("a", 2)), add(inventory("b", 1))}, []model.Reference{inventory("a", 2), inventory("b", 1)}},
		{"same id of another kind", []func(*record.References){add(inventory("a", 2)), add(person)}, []model.Reference{inventory("a", 2), person}},
		{"removed", []func(*record.References){add(inventory("a", 1)), remove(inventory("a", 1))}, nil},
		{"removed by a newer version", []func(*record.References){add(inventory("a", 1)), remove(inventory("a", 2))}, nil},
		{"late removal", []func(*record.References){add(inventory("a", 2)), remove(inventory("a", 1))}, []model.Reference{inventory("a", 2)}},
		{"late observation after the removal", []func(*record.References){remove(inventory("a", 2)), add(inventory("a", 2))}, nil},
		{"new observation after the removal", []func(*record.References){remove(inventory("a", 2)), add(inventory("a", 3))}, []model.Reference{inventory("a", 3)}},
		{"removal of another", []func(*record.References){add(inventory("a", 1)), remove(inventory("b", 9))}, []model.Reference{inventory("a", 1)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var references record.References
			for _, step := range c.steps {
				step(&references)
			}
			require.ElementsMatch(t, c.want, references.List)
		})
	}
}

func TestAddReportsWhetherTheReferenceWasNews(t *testing.T) {
	var references record.References
	require.True(t, add(t, &references, inventory("a", 2)))
	require.False(t, add(t, &references, inventory("a", 2)), "as old")
	require.False(t, add(t, &references, inventory("a", 1)), "older")
	require.True(t, add(t, &references, inventory("a", 3)))
}

func TestReferencesExpire(t *testing.T) {
	var references record.References
	forever, soon, later := inventory("forever", 1), inventory("soon", 1), inventory("later", 1)
	soon.Until, later.Until = at(time.Hour), at(2*time.Hour)
	for _, r := range []model.Reference{forever, soon, later} {
		add(t, &references, r)
	}
	references.Expire(at(time.Hour - 1))
	require.Len(t, references.List, 3)
	references.Expire(at(time.Hour))
	require.Equal(t, []model.Reference{forever, later}, references.List, "at its end a reference is gone")
	references.Remove(forever)
	references.Expire(at(90 * time.Minute))
	require.Zero(t, references.IdleSince)
	references.Expire(at(3 * time.Hour))
	require.Empty(t, references.List)
	require.Equal(t, at(3*time.Hour), references.IdleSince)
	references.Expire(at(4 * time.Hour))
	require.Equal(t, at(3*time.Hour), references.IdleSince, "idle since the first time that there was none")
	add(t, &references, inventory("new", 1))
	require.Zero(t, references.IdleSince)
}

func TestRemovedVersionsAreBounded(t *testing.T) {
	var references record.References
	for i := range 150 {
		references.Remove(inventory(fmt.Sprint(i), 1))
	}
	require.Len(t, references.Removed, 100)
	require.False(t, add(t, &references, inventory("149", 1)), "the newest are kept")
	require.True(t, add(t, &references, inventory("0", 1)), "the oldest are not")
}
