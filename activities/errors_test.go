package activities_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
)

func TestFailureOf(t *testing.T) {
	for name, row := range map[string]struct {
		err    error
		class  model.FailureClass
		reason string
	}{
		"classified":                 {temporal.NewApplicationError("no such manifest", string(model.NotFound)), model.NotFound, "no such manifest"},
		"named by its Go type":       {temporal.NewApplicationError("list hubs: no answer", "wrapError"), model.Transient, "list hubs: no answer"},
		"without a type":             {temporal.NewApplicationError("broken", ""), model.Transient, "broken"},
		"of the workflow's own kind": {errors.New("odd"), model.Transient, "odd"},
	} {
		t.Run(name, func(t *testing.T) {
			class, reason := activities.FailureOf(row.err)
			require.Equal(t, row.class, class)
			require.Equal(t, row.reason, reason)
		})
	}
}
