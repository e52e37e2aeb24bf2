package model_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

func TestWordsThatBecomePartsOfIDs(t *testing.T) {
	for _, good := range []string{"default", "kube-system", "cluster.example", strings.Repeat("a", 63), "größe"} {
		require.NoError(t, model.CheckCluster(good))
		require.NoError(t, model.CheckNamespace(good))
	}
	for _, bad := range []string{"", "a/b", "a\nb", "a\x00", "\xff", strings.Repeat("a", 300)} {
		require.Error(t, model.CheckCluster(bad), "%q", bad)
		require.Error(t, model.CheckNamespace(bad), "%q", bad)
	}
}

func FuzzPodCheck(f *testing.F) {
	f.Add("uid", "name", "registry.example/app:1", "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
	f.Add("", "\x00", "", "sha256:")
	f.Fuzz(func(t *testing.T, uid, name, reference, digest string) {
		p := model.Pod{UID: uid, Name: name, Containers: []model.Container{{Reference: reference, Digest: model.Digest(digest)}}}
		if p.Check() != nil {
			return
		}
		require.NotEmpty(t, p.UID)
		for _, text := range []string{uid, name, reference} {
			require.True(t, utf8.ValidString(text))
			require.False(t, strings.ContainsFunc(text, unicode.IsControl))
		}
		if digest != "" {
			_, err := model.ParseDigest(digest)
			require.NoError(t, err)
		}
	})
}
