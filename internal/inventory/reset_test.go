package inventory_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/inventory"
	"github.com/perceptor/perceptor/model"
)

// TestForgottenVersionsLetTheNextReportCount resets a book that only listens to the future, and one of which only a part is impossible.
func TestForgottenVersionsLetTheNextReportCount(t *testing.T) {
	future := model.Version{Epoch: 1000, Counter: 1}
	silenced := func() *inventory.Book {
		b := inventory.New(start, nil)
		b.Set(inventory.Settings{Version: future, Domain: "old"})
		b.Part(start, future, 1, 1, []model.Pod{pod("a", 1), pod("b", 1)})
		b.Change(start, model.Version{Epoch: 1000, Counter: 2}, nil, []model.PodKey{{UID: "b", Name: "pod-b"}})
		b.Change(start, at(5), []model.Pod{pod("a", 2)}, nil)
		require.Equal(t, []string{"a"}, names(b), "nothing counts")
		return b
	}
	for name, after := range map[string]int64{"all": 0, "those after a time": 999} {
		t.Run(name, func(t *testing.T) {
			b := silenced()
			require.True(t, inventory.IsAhead(b, 999))
			require.True(t, inventory.ForgetVersions(b, after))
			require.False(t, inventory.IsAhead(b, 999))
			require.Equal(t, []string{"a"}, names(b), "what is known stays")
			b = travelled(t, b)
			b.Set(inventory.Settings{Version: at(6), Domain: "new"})
			b.Part(start, at(6), 1, 1, []model.Pod{pod("b", 2)})
			require.Equal(t, []string{"b"}, names(b))
			require.Equal(t, "new", b.Settings.Domain)
		})
	}
	b := silenced()
	require.False(t, inventory.IsAhead(b, 1000))
	require.False(t, inventory.ForgetVersions(b, 1000), "they are possible: nothing is forgotten")
	b.Part(start, at(6), 1, 1, []model.Pod{pod("b", 2)})
	require.Equal(t, []string{"a"}, names(b))
}
