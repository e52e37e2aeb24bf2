package starter

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

func TestFilterCannotBecomeAConditionOfItsOwn(t *testing.T) {
	f := ImageFilter{Repository: `x" OR WorkflowType = "HubPool`, Status: model.StatusFailed}
	want := `WorkflowType = "Image" AND ExecutionStatus = "Running" AND PerceptorRepository = "x\" OR WorkflowType = \"HubPool"` +
		` AND PerceptorScanStatus = "Failed"`
	require.Equal(t, want, f.query())
	require.NotContains(t, ImageFilter{}.query(), "Perceptor")
}
