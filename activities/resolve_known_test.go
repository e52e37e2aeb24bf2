package activities_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
)

// judgedImages has a verdict for these digests, or fails.
type judgedImages struct {
	digests map[model.Digest]bool
	err     error
}

func (j judgedImages) HasVerdict(_ context.Context, d model.Digest) (bool, error) {
	return j.digests[d], j.err
}

// goneRegistry answers nothing but how often it was asked.
type goneRegistry struct{ asked []string }

func (g *goneRegistry) Resolve(_ context.Context, r activities.ResolveRequest) (activities.ResolvedImage, error) {
	g.asked = append(g.asked, r.Reference)
	return activities.ResolvedImage{}, edgeError{class: model.Transient}
}

func (g *goneRegistry) Permits(_, credential, from string) error {
	if credential == "theirs" && from != "prod/shop" {
		return edgeError{class: model.Unauthorized}
	}
	return nil
}

// TestACredentialThatIsNotPermitted is asked about before anything that is known or remembered.
func TestACredentialThatIsNotPermitted(t *testing.T) {
	known := model.Digest("sha256:" + strings.Repeat("a", 64))
	registry := &goneRegistry{}
	steps := activities.NewRegistrySteps(registry, judgedImages{digests: map[model.Digest]bool{known: true}})
	env := environment(t, steps)
	var in activities.ResolveImagesInput
	for _, from := range []string{"prod/shop", "test/shop", ""} {
		in.Requests = append(in.Requests, activities.ResolveRequest{Reference: "mirror.invalid/app@" + string(known), Credential: "theirs", From: from})
	}
	value, err := env.ExecuteActivity(steps.ResolveImages, in)
	require.NoError(t, err)
	var result activities.ResolveImagesResult
	require.NoError(t, value.Get(&result))
	require.NotNil(t, result.Resolutions[0].Image)
	for _, refused := range result.Resolutions[1:] {
		require.Nil(t, refused.Image)
		require.Equal(t, model.Unauthorized, refused.Failure.Class)
	}
	require.Empty(t, registry.asked)
}

func TestADigestThatHasAVerdictNeedsNoRegistry(t *testing.T) {
	known := model.Digest("sha256:" + strings.Repeat("a", 64))
	other := model.Digest("sha256:" + strings.Repeat("b", 64))
	for name, row := range map[string]struct {
		reference string
		judged    judgedImages
		want      model.Digest // empty: the registry was asked
	}{
		"a digest with a verdict":         {"mirror.invalid/app:1@" + string(known), judgedImages{digests: map[model.Digest]bool{known: true}}, known},
		"a digest without one":            {"mirror.invalid/app@" + string(other), judgedImages{digests: map[model.Digest]bool{known: true}}, ""},
		"a tag":                           {"mirror.invalid/app:1", judgedImages{digests: map[model.Digest]bool{known: true}}, ""},
		"a question that is not answered": {"mirror.invalid/app@" + string(known), judgedImages{err: errors.New("no answer")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			registry := &goneRegistry{}
			steps := activities.NewRegistrySteps(registry, row.judged)
			env := environment(t, steps)
			value, err := env.ExecuteActivity(steps.ResolveImages, activities.ResolveImagesInput{Requests: []activities.ResolveRequest{{Reference: row.reference}}})
			require.NoError(t, err)
			var result activities.ResolveImagesResult
			require.NoError(t, value.Get(&result))
			require.Len(t, result.Resolutions, 1)
			if row.want == "" {
				require.Equal(t, []string{row.reference}, registry.asked)
				require.NotNil(t, result.Resolutions[0].Failure)
				return
			}
			require.Empty(t, registry.asked)
			require.Equal(t, row.want, result.Resolutions[0].Image.Digest)
			require.Equal(t, "mirror.invalid/app", result.Resolutions[0].Image.Name.Repository)
		})
	}
}
