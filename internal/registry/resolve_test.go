package registry_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/registry"
	"github.com/perceptor/perceptor/model"
)

var (
	amd64 = v1.Platform{OS: "linux", Architecture: "amd64"}
	arm64 = v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
	armV6 = v1.Platform{OS: "linux", Architecture: "arm", Variant: "v6"}
	armV7 = v1.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}
	s390x = v1.Platform{OS: "linux", Architecture: "s390x"}
)

func TestResolve(t *testing.T) {
	f, h := newFake(t), newHost(t, registry.Options{})
	images := map[string]v1.Image{}
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{
		Add:        imageOf(t, layerOf(99, 10)),
		Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"}},
	})
	for i, platform := range []v1.Platform{amd64, arm64, armV6, armV7} {
		img := imageFor(t, platform, layerOf(uint64(i), 1000*(i+1)))
		images[platform.String()] = img
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &platform}})
	}
	indexDigest := f.pushIndex(t, "team/app", "v1", index)
	foreign := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{
		Add: imageFor(t, s390x, layerOf(9, 10)), Descriptor: v1.Descriptor{Platform: &s390x},
	}, mutate.IndexAddendum{Add: images[arm64.String()], Descriptor: v1.Descriptor{Platform: &arm64}})
	f.pushIndex(t, "foreign", "latest", foreign)
	single := f.push(t, "single", "v1", images[arm64.String()])
	f.push(t, "chart", "v1", mutate.ConfigMediaType(images[amd64.String()], "application/vnd.cncf.helm.config.v1+json"))

	for name, row := range map[string]struct {
		reference string
		platform  model.Platform
		// want is the platform of the image that is found, failure the end of the message otherwise.
		want    v1.Platform
		failure string
		class   model.FailureClass
	}{
		"by tag":                   {reference: "/team/app:v1", platform: model.Platform{OS: "linux", Architecture: "amd64"}, want: amd64},
		"by digest of the index":   {reference: "/team/app@" + indexDigest.String(), platform: model.Platform{OS: "linux", Architecture: "arm64"}, want: arm64},
		"variant":                  {reference: "/team/app:v1", platform: model.Platform{OS: "linux", Architecture: "arm", Variant: "v6"}, want: armV6},
		"usual variant":            {reference: "/team/app:v1", platform: model.Platform{OS: "linux", Architecture: "arm"}, want: armV7},
		"older variant of a newer": {reference: "/team/app:v1", platform: model.Platform{OS: "linux", Architecture: "arm", Variant: "v8"}, want: armV7},
		"only others": {
			reference: "/foreign", platform: model.Platform{OS: "linux", Architecture: "amd64"}, class: model.Unsupported,
			failure: ": unsupported: there is no image for linux/amd64 in it, only for linux/arm64/v8, linux/s390x",
		},
		"variant too old": {
			reference: "/team/app:v1", platform: model.Platform{OS: "linux", Architecture: "arm", Variant: "v5"}, class: model.Unsupported,
			failure: ": unsupported: there is no image for linux/arm/v5 in it, only for linux/amd64, linux/arm/v6, linux/arm/v7, linux/arm64/v8",
		},
		"single image, no platform asked for": {reference: "/single:v1", want: arm64},
		"single image of another platform": {
			reference: "/single:v1", platform: model.Platform{OS: "linux", Architecture: "amd64"}, class: model.Unsupported,
			failure: ": unsupported: there is no image for linux/amd64 in it, only for linux/arm64/v8",
		},
		"single image by digest is what it is": {
			reference: "/single@" + string(single), platform: model.Platform{OS: "linux", Architecture: "amd64"}, want: arm64,
		},
		"not an image": {
			reference: "/chart:v1", class: model.Unsupported,
			failure: `: unsupported: it is not a container image: its config is of the kind "application/vnd.cncf.helm.config.v1+json"`,
		},
		"missing tag":        {reference: "/team/app:v2", class: model.NotFound, failure: ": not-found: the registry has no such image"},
		"missing repository": {reference: "/team/none:v2", class: model.NotFound, failure: ": not-found: the registry has no such image"},
	} {
		t.Run(name, func(t *testing.T) {
			reference := f.host() + row.reference
			resolved, err := h.Resolve(t.Context(), reference, row.platform, "")
			if row.failure != "" {
				require.EqualError(t, err, "resolve "+reference+row.failure)
				require.Equal(t, row.class, classOf(t, err))
				return
			}
			require.NoError(t, err)
			want := images[row.want.String()]
			require.Equal(t, digestOf(t, want), resolved.Digest)
			require.Equal(t, row.want.String(), resolved.Platform.String())
			manifest, err := want.Manifest()
			require.NoError(t, err)
			require.Equal(t, manifest.Config.Size+manifest.Layers[0].Size, resolved.Size)
		})
	}
}

func TestAnIndexInAnIndexIsFollowed(t *testing.T) {
	f, h := newFake(t), newHost(t, registry.Options{})
	nested := func(depth int, inner v1.ImageIndex) v1.ImageIndex {
		for range depth {
			inner = mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: inner})
		}
		return inner
	}
	arm, amd := imageFor(t, arm64, layerOf(1, 100)), imageFor(t, amd64, layerOf(2, 100))
	both := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: arm, Descriptor: v1.Descriptor{Platform: &arm64}},
		mutate.IndexAddendum{Add: amd, Descriptor: v1.Descriptor{Platform: &amd64}})
	f.pushIndex(t, "nested", "v1", nested(2, both))
	f.pushIndex(t, "deep", "v1", nested(9, both))
	for want, platform := range map[v1.Image]model.Platform{arm: {OS: "linux", Architecture: "arm64"}, amd: {OS: "linux", Architecture: "amd64"}} {
		resolved, err := h.Resolve(t.Context(), f.host()+"/nested:v1", platform, "")
		require.NoError(t, err)
		require.Equal(t, digestOf(t, want), resolved.Digest)
	}
	_, err := h.Resolve(t.Context(), f.host()+"/deep:v1", model.Platform{OS: "linux", Architecture: "amd64"}, "")
	require.Equal(t, model.Unsupported, classOf(t, err))
	require.ErrorContains(t, err, "indexes more than 4 deep")
}

func TestKindsThatToolsWriteInstead(t *testing.T) {
	f, h := newFake(t), newHost(t, registry.Options{})
	zstd := static.NewLayer(contentOf(t, layerOf(3, 100)), "application/vnd.docker.image.rootfs.diff.tar.zstd")
	withZstd, err := mutate.AppendLayers(empty.Image, zstd)
	require.NoError(t, err)
	for name, img := range map[string]v1.Image{
		"octet": mutate.ConfigMediaType(imageFor(t, amd64, layerOf(1, 100)), "application/octet-stream"),
		"bare":  imageFor(t, v1.Platform{}, layerOf(4, 100)),
		"zstd":  withZstd,
	} {
		digest := f.push(t, name, "v1", img)
		platform := model.Platform{OS: "linux", Architecture: "amd64"}
		if name == "zstd" {
			platform = model.Platform{} // empty.Image names a platform of its own
		}
		resolved, err := h.Resolve(t.Context(), f.host()+"/"+name+":v1", platform, "")
		require.NoError(t, err, name)
		require.Equal(t, digest, resolved.Digest, name)
	}
	chart := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), "application/octet-stream")
	chart, err = mutate.Append(chart, mutate.Addendum{Layer: static.NewLayer([]byte("chart"), "application/vnd.cncf.helm.chart.content.v1.tar+gzip")})
	require.NoError(t, err)
	f.push(t, "artifact", "v1", chart)
	_, err = h.Resolve(t.Context(), f.host()+"/artifact:v1", model.Platform{}, "")
	require.Equal(t, model.Unsupported, classOf(t, err), "what is no layer stays refused")
}

func TestResolveChecksWhatItGets(t *testing.T) {
	const ociManifest, ociIndex = string(types.OCIManifestSchema1), string(types.OCIImageIndex)
	config := `"config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,"digest":"sha256:` + strings.Repeat("a", 64) + `"}`
	for name, row := range map[string]struct {
		contentType, body string
		class             model.FailureClass
		want              string
	}{
		"HTML":         {"text/html", "<html>log in</html>", model.Invalid, "invalid: the registry sent something that is not a manifest"},
		"empty":        {ociManifest, "", model.Invalid, "invalid: the registry sent something that is not a manifest"},
		"another type": {"application/json", "{}", model.Unsupported, `unsupported: it is not an image: its manifest is of the kind "application/json"`},
		"wrong shape":  {ociManifest, `{"schemaVersion":2,"layers":7}`, model.Invalid, "invalid: its manifest is not readable"},
		"schema 1": {
			string(types.DockerManifestSchema1Signed), `{"schemaVersion":1}`, model.Unsupported,
			"unsupported: its manifest is of Docker's schema 1, which registries gave up; push the image again with a present tool",
		},
		"no config": {ociManifest, `{"schemaVersion":2}`, model.Unsupported, `unsupported: it is not a container image: its config is of the kind ""`},
		"huge config": {
			ociManifest, `{"schemaVersion":2,` + strings.Replace(config, `"size":2`, `"size":99999999`, 1) + `}`, model.Invalid,
			"invalid: its config has 99999999 bytes, the limit is 8388608",
		},
		"negative layer": {
			ociManifest, `{"schemaVersion":2,` + config + `,"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","size":-1,"digest":"sha256:` +
				strings.Repeat("b", 64) + `"}]}`, model.Invalid,
			"invalid: its manifest gives sha256:" + strings.Repeat("b", 64) + " an impossible size",
		},
		"unknown kind of layer": {
			ociManifest, `{"schemaVersion":2,` + config + `,"layers":[{"mediaType":"text/plain","size":1,"digest":"sha256:` +
				strings.Repeat("b", 64) + `"}]}`, model.Unsupported,
			`unsupported: it has a layer of the unknown kind "text/plain"`,
		},
		"empty index": {
			ociIndex, `{"schemaVersion":2,"manifests":[]}`, model.Unsupported,
			"unsupported: there is no image for linux/amd64 in it, nor for any other platform",
		},
		"index without digests": {
			ociIndex, `{"schemaVersion":2,"manifests":[{}]}`, model.Invalid, "invalid: its index names an image without a usable digest",
		},
		"wrong shape of an index": {ociIndex, `{"schemaVersion":2,"manifests":"x"}`, model.Invalid, "invalid: its index is not readable JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			f, h := newFake(t), newHost(t, registry.Options{})
			f.misbehave(answer(http.StatusOK, map[string]string{"Content-Type": row.contentType}, row.body))
			_, err := h.Resolve(t.Context(), f.host()+"/app:v1", model.Platform{OS: "linux", Architecture: "amd64"}, "")
			require.EqualError(t, err, "resolve "+f.host()+"/app:v1: "+row.want)
			require.Equal(t, row.class, classOf(t, err))
		})
	}
}

func TestParseReference(t *testing.T) {
	const digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
	for reference, want := range map[string]model.Name{
		"debian":                                {Repository: "index.docker.io/library/debian", Tag: "latest"},
		"docker.io/library/debian:12":           {Repository: "index.docker.io/library/debian", Tag: "12"},
		"localhost:5005/samples/app":            {Repository: "localhost:5005/samples/app", Tag: "latest"},
		"registry.example/a/b:c@" + digest:      {Repository: "registry.example/a/b", Tag: "c"},
		"registry.example/a/b@" + digest:        {Repository: "registry.example/a/b"},
		"registry.example:5000/a/b@" + digest:   {Repository: "registry.example:5000/a/b"},
		"registry.example:5000/a:1.2@" + digest: {Repository: "registry.example:5000/a", Tag: "1.2"},
	} {
		t.Run(reference, func(t *testing.T) {
			_, got, err := registry.ParseReference(reference, nil)
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
	for reference, want := range map[string]string{
		"":                          `"" is not an image reference; write registry/repository:tag or registry/repository@sha256:<64 hexadecimal digits>`,
		"Team/App":                  `"Team/App" is not an image reference; write registry/repository:tag or registry/repository@sha256:<64 hexadecimal digits>`,
		"app@sha256:12":             `"app@sha256:12" is not an image reference; write registry/repository:tag or registry/repository@sha256:<64 hexadecimal digits>`,
		"https://registry.example/": `"https://registry.example/" is a URL; leave out https://`,
		strings.Repeat("a", 2000):   "the reference has 2000 characters, more than 1024",
		"a@sha512:" + strings.Repeat("0", 128): "the digest sha512:" + strings.Repeat("0", 73) +
			" is not of the kind sha256, the only one that is read here",
	} {
		t.Run("bad "+reference[:min(len(reference), 30)], func(t *testing.T) {
			_, _, err := registry.ParseReference(reference, nil)
			require.EqualError(t, err, want)
		})
	}
}

func FuzzParseReference(f *testing.F) {
	for _, seed := range []string{"debian", "localhost:5005/a/b:c", "a/b@sha256:" + strings.Repeat("0", 64), "http://x", "[::1]:5000/a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, reference string) {
		ref, parsed, err := registry.ParseReference(reference, nil)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		// What was understood must mean the same when it is written down and read again.
		again := parsed.Reference()
		if digest, found := strings.CutPrefix(ref.Identifier(), "sha256:"); found {
			again = parsed.Repository + "@sha256:" + digest
		}
		second, _, err := registry.ParseReference(again, nil)
		require.NoError(t, err, again)
		require.Equal(t, ref.Name(), second.Name())
	})
}

func FuzzChoose(f *testing.F) {
	f.Add([]byte(`{"manifests":[{"platform":{"os":"linux","architecture":"amd64"},"digest":"sha256:` + strings.Repeat("0", 64) + `"}]}`))
	f.Add([]byte(`{"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json"}]}`))
	f.Fuzz(func(t *testing.T, index []byte) {
		parsed, err := v1.ParseIndexManifest(bytes.NewReader(index))
		if err != nil {
			return
		}
		chosen, err := registry.Choose(parsed.Manifests, model.Platform{OS: "linux", Architecture: "amd64"})
		if err == nil {
			require.NotEmpty(t, chosen.Hex)
		}
	})
}
