package inventory_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/inventory"
	"github.com/perceptor/perceptor/model"
)

// TestImageWithAProblemIsUnknownForThatReason: no registry is asked for it, before and after the book travels, and a container of the
// same name without the problem is asked for as ever.
func TestImageWithAProblemIsUnknownForThatReason(t *testing.T) {
	local, plain := pod("local", 1), pod("plain", 1)
	local.Containers[0].Problem = "built here"
	b := inventory.New(start, nil)
	b.Change(start, at(1), []model.Pod{local, plain}, nil)
	travel := func() {
		text, err := json.Marshal(b)
		require.NoError(t, err)
		b = &inventory.Book{}
		require.NoError(t, json.Unmarshal(text, b))
		b.Open(nil)
	}
	travel()
	questions := b.Questions(start.Add(time.Hour), 10, false)
	require.Len(t, questions, 1, "the other one")
	travel()
	resolve(b, start)
	row, _ := b.Row("c", "n", "local")
	require.Equal(t, model.StatusFailed, row.Status)
	require.Equal(t, model.OverallUnknown, row.OverallStatus)
	require.Equal(t, "built here", row.Containers[0].Image.Failure.Reason)
	require.Equal(t, 1, b.Counts().Pods-len(b.Images))
	require.True(t, b.NextQuestion().IsZero(), "it is not tried again")

	// The image has been pushed: the same pod has no problem any longer.
	local.Containers[0].Problem = ""
	b.Change(start, at(2), []model.Pod{local}, nil)
	resolve(b, start)
	row, _ = b.Row("c", "n", "local")
	require.Nil(t, row.Containers[0].Image.Failure)
	require.Equal(t, digestOf(1), row.Containers[0].Image.Digest)
}
