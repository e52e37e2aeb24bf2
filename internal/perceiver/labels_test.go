package perceiver_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/perceiver"
	"github.com/perceptor/perceptor/model"
)

func TestChosenLabels(t *testing.T) {
	long := strings.Repeat("é", model.LabelValueLength)
	service, container := map[string]string{"team": "shop", "tier": ""}, map[string]string{"team": "other", "odd": "a\nb\xff", "long": long}
	chosen := perceiver.ChosenLabels([]string{"team", "tier", "odd", "long", "none"}, service, container)
	require.NoError(t, model.CheckLabels(chosen))
	require.Equal(t, "shop", chosen["team"])
	require.Equal(t, "a-b\uFFFD", chosen["odd"])
	require.LessOrEqual(t, len(chosen["long"]), model.LabelValueLength)
	require.Contains(t, chosen, "tier", "an empty value is one")
	require.NotContains(t, chosen, "none")
	require.Nil(t, perceiver.ChosenLabels([]string{"none"}, container))
}

func TestKeysOfChosenLabels(t *testing.T) {
	require.NoError(t, perceiver.CheckLabelKeys([]string{"team", "app.kubernetes.io/name"}))
	for what, keys := range map[string][]string{
		"an empty key": {""}, "a value": {"team=shop"}, "a control character": {"a\x00"}, "a long key": {strings.Repeat("k", 400)}, "too many": make([]string, 17),
	} {
		require.Error(t, perceiver.CheckLabelKeys(keys), what)
	}
}
