package kubernetes

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/perceiver"
	"github.com/perceptor/perceptor/model"
)

var (
	sumA = strings.Repeat("a", 64)
	sumB = strings.Repeat("b", 64)
)

func TestImageIDs(t *testing.T) {
	digest := model.Digest("sha256:" + sumA)
	for _, row := range []struct {
		what, id, repository string
		digest               model.Digest
	}{
		{"Docker, pulled", "docker-pullable://registry.example/team/app@sha256:" + sumA, "registry.example/team/app", digest},
		{"Docker, pulled from its hub", "docker-pullable://nginx@sha256:" + sumA, "nginx", digest},
		{"Docker, built on the node", "docker://sha256:" + sumA, "", digest},
		{"containerd and CRI-O", "registry.example:5000/app@sha256:" + sumA, "registry.example:5000/app", digest},
		{"with a tag beside the digest", "registry.example/app:1@sha256:" + sumA, "registry.example/app", digest},
		{"another scheme", "cri-o://registry.example/app@sha256:" + sumA, "registry.example/app", digest},
		{"a configuration", "sha256:" + sumA, "", digest},
		{"a configuration without its algorithm", sumA, "", digest},
		{"not started", "", "", ""},
		{"63 digits", "app@sha256:" + sumA[1:], "", ""},
		{"65 digits", "app@sha256:a" + sumA, "", ""},
		{"capital digits", "app@sha256:" + strings.ToUpper(sumA), "", ""},
		{"another algorithm", "app@sha512:" + sumA + sumA, "", ""},
		{"no algorithm", "app@" + sumA, "", ""},
		{"no repository", "@sha256:" + sumA, "", ""},
		{"no repository after the scheme", "docker-pullable://@sha256:" + sumA, "", ""},
		{"two digests", "app@sha256:" + sumA + "@sha256:" + sumA, "", ""},
		{"a NUL", "a\x00pp@sha256:" + sumA, "", ""},
		{"a space", "a pp@sha256:" + sumA, "", ""},
		{"only a tag", "registry.example/app:1", "", ""},
		{"far too long", strings.Repeat("x", perceiver.LongestReference) + "@sha256:" + sumA, "", ""},
	} {
		t.Run(row.what, func(t *testing.T) {
			repository, digest := parseImageID(row.id)
			require.Equal(t, row.repository, repository)
			require.Equal(t, row.digest, digest)
		})
	}
}

func FuzzImageID(f *testing.F) {
	for _, id := range []string{
		"", "docker-pullable://nginx@sha256:" + sumA, "docker://sha256:" + sumA, "r.example:5000/a/b:1@sha256:" + sumA,
		sumA, "sha256:" + sumA, "://", "@", "a@b@c", "docker-pullable://docker://x@sha256:" + sumA,
	} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		repository, digest := parseImageID(id)
		require.False(t, repository != "" && digest == "", "no repository without a digest")
		if digest == "" {
			return
		}
		parsed, err := model.ParseDigest(string(digest))
		require.NoError(t, err)
		require.Equal(t, parsed, digest)
		require.NotContains(t, repository, "@")
		require.True(t, perceiver.Plain(repository))
		require.True(t, strings.HasSuffix(id, digest.Hex()), "the digest is the runtime's own")
		if repository == "" {
			return
		}
		again, sameDigest := parseImageID(repository + "@" + string(digest))
		require.Equal(t, digest, sameDigest)
		require.True(t, again == repository || strings.HasPrefix(repository, again+":") || strings.Contains(repository, "://"))
	})
}

func TestReferences(t *testing.T) {
	for _, row := range []struct {
		reference, repository, tag string
		digest                     model.Digest
	}{
		{"nginx", "nginx", "", ""},
		{"nginx:1", "nginx", "1", ""},
		{"host:5000/nginx", "host:5000/nginx", "", ""},
		{"host:5000/nginx:1", "host:5000/nginx", "1", ""},
		{"host:5000/nginx:1@sha256:" + sumA, "host:5000/nginx", "1", model.Digest("sha256:" + sumA)},
		{"nginx@sha256:short", "", "", ""},
		{":1", "", "", ""},
	} {
		repository, tag, digest := perceiver.SplitReference(row.reference)
		require.Equal(t, []string{row.repository, row.tag, string(row.digest)}, []string{repository, tag, string(digest)}, row.reference)
	}
}
