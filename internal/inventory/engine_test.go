package inventory_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/inventory"
	"github.com/perceptor/perceptor/model"
)

// TestImageOfAnEngineIsKnownWithoutAQuestion: no registry is asked for it, before and after the book travels, and its workflow is
// notified where the image is.
func TestImageOfAnEngineIsKnownWithoutAQuestion(t *testing.T) {
	local := pod("local", 1)
	local.Containers[0].Reference, local.Containers[0].Digest, local.Containers[0].Engine = "local/tool:1", digestOf(7), "E:1"
	require.NoError(t, local.Check())
	b := inventory.New(start, nil)
	b.Change(start, at(1), []model.Pod{local, pod("plain", 1)}, nil)
	travel := func() {
		text, err := json.Marshal(b)
		require.NoError(t, err)
		b = &inventory.Book{}
		require.NoError(t, json.Unmarshal(text, b))
		b.Open(nil)
	}
	for range 2 {
		require.Len(t, b.Questions(start, 10, false), 1, "the other one")
		travel()
	}
	ensures := b.Ensures(start, 10)
	require.Len(t, ensures, 1)
	require.Equal(t, digestOf(7), ensures[0].Digest)
	require.Equal(t, []model.Name{{Repository: "local/tool", Tag: "1", Engine: "E:1"}}, ensures[0].Names)
	b.Learn(model.Summary{Digest: digestOf(7), Status: model.StatusComplete, OverallStatus: model.InViolation, Version: model.Version{Epoch: 1, Counter: 1}})
	row, _ := b.Row("c", "n", "local")
	require.Equal(t, model.InViolation, row.OverallStatus)
	require.Equal(t, digestOf(7), row.Containers[0].Image.Digest)

	// The same image under the same name on another engine is another way to it.
	other := pod("other", 1)
	other.Containers[0] = local.Containers[0]
	other.Containers[0].Engine = "E:2"
	b.Change(start, at(2), []model.Pod{other}, nil)
	row, _ = b.Row("c", "n", "other")
	require.Equal(t, model.InViolation, row.OverallStatus, "the verdict is that of the content")
}
