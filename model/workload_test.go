package model_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

func TestWorkloadMatches(t *testing.T) {
	w := model.Workload{Kind: "Deployment", Name: "web"}
	for text, want := range map[string]bool{"web": true, "deployment/web": true, "Deployment/web": true, "Job/web": false, "Web": false, "deployment/": false, "/web": false} {
		require.Equal(t, want, w.Matches(text), text)
	}
	require.False(t, model.Workload{}.Matches("/"), "a pod that nothing owns matches no name")
	require.Empty(t, model.Workload{}.String())
}

func TestParseLabels(t *testing.T) {
	labels, err := model.ParseLabels([]string{"team=shop", "empty=", "equation=a=b", "team=shop"})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"team": "shop", "empty": "", "equation": "a=b"}, labels)
	for _, texts := range [][]string{{"team"}, {"=shop"}, {"a b=c"}, {"team=a", "team=b"}, {"team=\n"}} {
		_, err := model.ParseLabels(texts)
		require.Error(t, err, "%q", texts)
	}
}
