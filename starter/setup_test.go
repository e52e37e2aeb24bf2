package starter

import (
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
)

func TestSearchAttributesAreThirteenAndTyped(t *testing.T) {
	all := SearchAttributes()
	require.Len(t, all, 13)
	require.Equal(t, enumspb.INDEXED_VALUE_TYPE_KEYWORD, all["PerceptorDigest"])
	require.Equal(t, enumspb.INDEXED_VALUE_TYPE_INT, all["PerceptorPods"])
	require.Equal(t, enumspb.INDEXED_VALUE_TYPE_DATETIME, all["PerceptorAsOf"])
	require.Equal(t, enumspb.INDEXED_VALUE_TYPE_KEYWORD, all["PerceptorCoverage"])
	require.Equal(t, enumspb.INDEXED_VALUE_TYPE_DATETIME, all["PerceptorValidUntil"])
}
