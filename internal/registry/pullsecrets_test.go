package registry_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/registry"
	"github.com/perceptor/perceptor/model"
)

// classed is an error that says whether asking again can help.
type classed struct{ class model.FailureClass }

func (c classed) Error() string                    { return "the cluster says " + string(c.class) }
func (c classed) FailureClass() model.FailureClass { return c.class }

func TestPullSecrets(t *testing.T) {
	f := guarded(t, false)
	digest := f.push(t, "app", "v1", imageOf(t, layerOf(1, 1000)))
	var answer error
	asked := ""
	var log strings.Builder
	h := newHost(t, registry.Options{
		Log:         slog.New(slog.NewTextHandler(&log, nil)),
		Credentials: map[string]registry.Credential{"here": {Username: "robot", PasswordFile: "/no/such/file", Binding: registry.Binding{Hosts: []string{f.host()}}}},
		PullSecrets: func(_ context.Context, credential string) ([][]byte, error) {
			asked = credential
			return [][]byte{[]byte(`{"auths":{"` + f.host() + `":{"username":"robot","password":"s3cret"}}}`)}, answer
		},
	})
	pull := func(credential string) error {
		_, err := h.Pull(t.Context(), registry.PullRequest{
			Digest: digest, Names: []model.Name{{Repository: f.host() + "/app", Tag: "v1", Credential: credential}}, Tar: h.tar(),
		}, nil)
		return err
	}
	require.NoError(t, pull("kubernetes:shop/ours"))
	require.Equal(t, "kubernetes:shop/ours", asked)
	asked = ""
	require.ErrorContains(t, pull("here"), "its file does not exist")
	require.Empty(t, asked, "what this host has is not asked for")
	for _, each := range []struct {
		err  error
		want model.FailureClass
		says string
	}{
		{classed{model.Unauthorized}, model.Unauthorized, "cannot be used"},
		{classed{model.Throttled}, model.Transient, "cannot be read at the moment"},
		{errors.New("no one answers"), model.Transient, "cannot be read at the moment"},
	} {
		answer = each.err
		err := pull("kubernetes:shop/ours")
		require.ErrorContains(t, err, each.says)
		require.NotContains(t, err.Error(), each.err.Error(), "the words of a cluster go into the log alone")
		require.Contains(t, log.String(), each.err.Error())
		require.Equal(t, each.want, classOf(t, err))
	}
}
