package registry_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/registry"
	"github.com/perceptor/perceptor/model"
)

func configOf(t *testing.T, img v1.Image) model.Digest {
	t.Helper()
	digest, err := img.ConfigName()
	require.NoError(t, err)
	return model.Digest(digest.String())
}

func indexOf(images map[*v1.Platform]v1.Image, order ...*v1.Platform) v1.ImageIndex {
	var index v1.ImageIndex = empty.Index
	for _, platform := range order {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: images[platform], Descriptor: v1.Descriptor{Platform: platform}})
	}
	return index
}

func TestWhatTheRuntimeReportsComesBeforeTheName(t *testing.T) {
	f, h := newFake(t), newHost(t, registry.Options{})
	old, now, arm := imageOf(t, layerOf(1, 100)), imageOf(t, layerOf(2, 100)), imageFor(t, arm64, layerOf(3, 100))
	f.push(t, "app", "v1", old)
	f.push(t, "app", "v1", now) // the tag has moved
	f.push(t, "copy", "v1", old)
	f.pushIndex(t, "multi", "v1", indexOf(map[*v1.Platform]v1.Image{&amd64: now, &arm64: arm}, &amd64, &arm64))
	linux := model.Platform{OS: "linux", Architecture: "amd64"}
	gone := model.Digest("sha256:" + strings.Repeat("e", 64))
	for name, row := range map[string]struct {
		question registry.Question
		want     v1.Image
		failure  string
	}{
		"the manifest, although the tag has moved": {registry.Question{Reference: "/app:v1", Reported: digestOf(t, old)}, old, ""},
		"the configuration of the tag":             {registry.Question{Reference: "/app:v1", Reported: configOf(t, now)}, now, ""},
		"the configuration of what the tag was":    {registry.Question{Reference: "/app:v1", Reported: configOf(t, old)}, nil, "the runtime's image is not the tag's"},
		"a configuration in an index":              {registry.Question{Reference: "/multi:v1", Reported: configOf(t, arm), Platform: linux}, arm, ""},
		"a configuration in an index, no platform": {registry.Question{Reference: "/multi:v1", Reported: configOf(t, now)}, now, ""},
		"no configuration of an index":             {registry.Question{Reference: "/multi:v1", Reported: configOf(t, old), Platform: linux}, nil, "the runtime's image is not the tag's"},
		"the repository that the runtime reports":  {registry.Question{Reference: "/none:v1", Reported: digestOf(t, old), Repository: "/copy"}, old, ""},
		"a manifest that is nowhere":               {registry.Question{Reference: "/app:v1", Reported: gone, Repository: "/copy"}, nil, "the registry has no such image"},
	} {
		t.Run(name, func(t *testing.T) {
			q := row.question
			q.Reference = f.host() + q.Reference
			if q.Repository != "" {
				q.Repository = f.host() + q.Repository
			}
			resolved, err := h.Client.Resolve(t.Context(), q)
			if row.failure != "" {
				require.ErrorContains(t, err, row.failure)
				require.Equal(t, model.NotFound, classOf(t, err))
				return
			}
			require.NoError(t, err)
			require.Equal(t, digestOf(t, row.want), resolved.Digest)
		})
	}
}

func TestPlatformThatIsNotKnownIsNotGuessed(t *testing.T) {
	f, h := newFake(t), newHost(t, registry.Options{})
	win := func(version string) *v1.Platform {
		return &v1.Platform{OS: "windows", Architecture: "amd64", OSVersion: version}
	}
	old, new2022, new2025 := win("10.0.17763.5329"), win("10.0.20348.2227"), win("10.0.26100.1")
	v6, v7 := &armV6, &armV7
	i386, plain, v3 := &v1.Platform{OS: "linux", Architecture: "386"}, &amd64, &v1.Platform{OS: "linux", Architecture: "amd64", Variant: "v3"}
	images := map[*v1.Platform]v1.Image{}
	for n, p := range []*v1.Platform{old, new2022, new2025, v6, v7, i386, plain, v3, &arm64} {
		images[p] = imageFor(t, *p, layerOf(uint64(n+1), 100))
	}
	f.pushIndex(t, "windows", "v1", indexOf(images, old, new2022, new2025))
	f.pushIndex(t, "arm", "v1", indexOf(images, v6))
	f.pushIndex(t, "intel", "v1", indexOf(images, i386, v3, plain))
	f.pushIndex(t, "mixed", "v1", indexOf(images, plain, old))
	f.pushIndex(t, "one", "v1", indexOf(images, &arm64))
	f.push(t, "single", "v1", images[&arm64])
	for name, row := range map[string]struct {
		reference string
		platform  model.Platform
		want      *v1.Platform
	}{
		"Windows Server 2022":                {"/windows:v1", model.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.20348.1850"}, new2022},
		"Windows Server 2022, build alone":   {"/windows:v1", model.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.20348"}, new2022},
		"Windows Server 2019":                {"/windows:v1", model.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.17763.1"}, old},
		"Windows Server 2025":                {"/windows:v1", model.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.26100.9"}, new2025},
		"Windows of a version without image": {"/windows:v1", model.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.14393.1"}, nil},
		"Windows of an unknown version":      {"/windows:v1", model.Platform{OS: "windows", Architecture: "amd64"}, nil},
		"no platform, an index":              {"/intel:v1", model.Platform{}, nil},
		"no platform, an index of one image": {"/one:v1", model.Platform{}, &arm64},
		"no platform, a single image":        {"/single:v1", model.Platform{}, &arm64},
		"no architecture, several":           {"/intel:v1", model.Platform{OS: "linux"}, nil},
		"no architecture, one can be meant":  {"/mixed:v1", model.Platform{OS: "linux"}, plain},
		"an older variant of arm":            {"/arm:v1", model.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}, v6},
		"arm64 runs arm where it must":       {"/arm:v1", model.Platform{OS: "linux", Architecture: "arm64"}, v6},
		"amd64 before 386":                   {"/intel:v1", model.Platform{OS: "linux", Architecture: "amd64"}, plain},
		"amd64 v3":                           {"/intel:v1", model.Platform{OS: "linux", Architecture: "amd64", Variant: "v3"}, v3},
		"amd64 v2 takes v1":                  {"/intel:v1", model.Platform{OS: "linux", Architecture: "amd64", Variant: "v2"}, plain},
		"arm64 v8 is arm64":                  {"/one:v1", model.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}, &arm64},
	} {
		t.Run(name, func(t *testing.T) {
			resolved, err := h.Client.Resolve(t.Context(), registry.Question{Reference: f.host() + row.reference, Platform: row.platform})
			if row.want == nil {
				require.Equal(t, model.Unsupported, classOf(t, err))
				return
			}
			require.NoError(t, err)
			require.Equal(t, digestOf(t, images[row.want]), resolved.Digest)
		})
	}
	_, err := h.Client.Resolve(t.Context(), registry.Question{Reference: f.host() + "/intel:v1"})
	require.ErrorContains(t, err, "the platform that it runs on is not known, and its index has images for linux/386, linux/amd64, linux/amd64/v3")
	// A runtime that reports the index, without its repository: what it reports is there, so it is no configuration.
	reported := indexOf(images, i386, v3, plain)
	digest, err := reported.Digest()
	require.NoError(t, err)
	_, err = h.Client.Resolve(t.Context(), registry.Question{Reference: f.host() + "/intel:v1", Reported: model.Digest(digest.String())})
	require.ErrorContains(t, err, "the platform that it runs on is not known")
	_, err = h.Client.Resolve(t.Context(), registry.Question{
		Reference: f.host() + "/intel:v1", Reported: model.Digest(digest.String()), Platform: model.Platform{OS: "linux", Architecture: "s390x"},
	})
	require.ErrorContains(t, err, "there is no image for linux/s390x in it")
	_, err = h.Client.Resolve(t.Context(), registry.Question{Reference: f.host() + "/intel:v1", PlatformProblem: "the perceiver is not permitted to read nodes"})
	require.ErrorContains(t, err, "the platform that it runs on is not known: the perceiver is not permitted to read nodes; its index has images for linux/386")
}

func TestRegistryThatNeverAnswersEndsItsQuestion(t *testing.T) {
	release := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer silent.Close()
	defer close(release)
	f, h := newFake(t), newHost(t, registry.Options{})
	digest := f.push(t, "app", "v1", imageOf(t, layerOf(1, 100)))
	began := time.Now()
	_, err := h.Resolve(t.Context(), strings.TrimPrefix(silent.URL, "http://")+"/app:v1", model.Platform{}, "")
	require.ErrorContains(t, err, "the registry did not answer in time")
	require.Equal(t, model.Transient, classOf(t, err))
	require.Less(t, time.Since(began), 10*time.Second)
	resolved, err := h.Client.Resolve(t.Context(), registry.Question{
		Reference: strings.TrimPrefix(silent.URL, "http://") + "/app:v1", Reported: digest, Repository: f.host() + "/app",
	})
	require.NoError(t, err, "the second repository is tried after a failure that passes, too")
	require.Equal(t, digest, resolved.Digest)
}

func TestIndexWithTooManyImagesIsRefused(t *testing.T) {
	f, h := newFake(t), newHost(t, registry.Options{})
	entry := `{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":2,"digest":"sha256:` + strings.Repeat("a", 64) + `","platform":{"os":"linux","architecture":"amd64"}}`
	f.misbehave(answer(http.StatusOK, map[string]string{"Content-Type": "application/vnd.oci.image.index.v1+json"},
		`{"schemaVersion":2,"manifests":[`+strings.Repeat(entry+",", 2000)+entry+`]}`))
	_, err := h.Resolve(t.Context(), f.host()+"/app:v1", model.Platform{OS: "linux", Architecture: "amd64"}, "")
	require.ErrorContains(t, err, "its index names more than 2000 images")
}
