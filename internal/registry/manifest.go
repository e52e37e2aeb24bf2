package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/perceptor/perceptor/model"
)

// manifestLimit is the size that the OCI distribution specification asks registries to accept.
const manifestLimit = 4 << 20

// configLimit bounds an image's config, which is held in memory. Real ones have a few kilobytes.
const configLimit = 8 << 20

// mostLayers bounds the layers of an image. Container tools stop at 127.
const mostLayers = 1000

// accepted are the kinds of documents asked for. Schema 1 is among them so that it can be named when it comes.
var accepted = strings.Join([]string{
	string(types.OCIImageIndex), string(types.DockerManifestList),
	string(types.OCIManifestSchema1), string(types.DockerManifestSchema2),
	string(types.DockerManifestSchema1Signed) + ";q=0.1",
}, ", ")

// document is a manifest or an index as the registry sent it.
type document struct {
	body      []byte
	digest    v1.Hash
	mediaType types.MediaType
}

// contents is what a pull needs to know of one image.
type contents struct {
	config []byte
	// platform is what the configuration says; empty where it says nothing.
	platform v1.Platform
	manifest *v1.Manifest
	// unique holds each layer once, in the order of the manifest.
	unique []v1.Descriptor
}

func (i *contents) size() int64 { return i.manifest.Config.Size + total(i.unique) }

// runsOn reports whether a machine of a platform, of which not everything may be known, runs the image.
func (i *contents) runsOn(p model.Platform) bool {
	return i.platform.OS == "" && i.platform.Architecture == "" || serves(i.platform, p)
}

// is reports whether the image has this configuration.
func (i *contents) is(configuration model.Digest) bool {
	return model.Digest(i.manifest.Config.Digest.String()) == configuration
}

func total(layers []v1.Descriptor) int64 {
	var sum int64
	for _, l := range layers {
		sum += l.Size
	}
	return sum
}

// manifest fetches a manifest or an index by tag or digest and checks it against the digest.
func (s *source) manifest(ctx context.Context, identifier string) (document, error) {
	body, header, err := s.small(ctx, "manifests/"+identifier, "manifest", manifestLimit)
	if err != nil {
		return document{}, err
	}
	digest := sum(body)
	if wanted, err := v1.NewHash(identifier); err == nil && wanted != digest {
		return document{}, faultf(mismatch, "the manifest does not match its digest: the registry sent %s", digest)
	}
	mediaType, err := kindOfDocument(body, header)
	if err != nil {
		return document{}, err
	}
	return document{body: body, digest: digest, mediaType: mediaType}, nil
}

func sum(body []byte) v1.Hash {
	digest := sha256.Sum256(body)
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(digest[:])}
}

// kindOfDocument believes the document before the header: proxies are known to send a wrong one.
func kindOfDocument(body []byte, header http.Header) (types.MediaType, error) {
	var d struct {
		SchemaVersion int             `json:"schemaVersion"`
		MediaType     types.MediaType `json:"mediaType"`
	}
	if err := json.Unmarshal(body, &d); err != nil {
		return "", &fault{kind: notAnImage, reason: "the registry sent something that is not a manifest", err: err}
	}
	if d.SchemaVersion == 1 {
		return "", faultf(unsupported, "its manifest is of Docker's schema 1, which registries gave up; push the image again with a present tool")
	}
	mediaType := d.MediaType
	if mediaType == "" {
		sent, _, _ := strings.Cut(header.Get("Content-Type"), ";")
		mediaType = types.MediaType(strings.TrimSpace(sent))
	}
	if !mediaType.IsImage() && !mediaType.IsIndex() {
		return "", faultf(unsupported, "it is not an image: its manifest is of the kind %.100q", string(mediaType))
	}
	return mediaType, nil
}

func (d document) parse() (*v1.Manifest, error) {
	parsed, err := v1.ParseManifest(bytes.NewReader(d.body))
	if err != nil {
		return nil, &fault{kind: notAnImage, reason: "its manifest is not readable", err: err}
	}
	return parsed, nil
}

// image checks that a document is an image and fetches its config.
func (s *source) image(ctx context.Context, doc document) (*contents, error) {
	if !doc.mediaType.IsImage() {
		return nil, faultf(unsupported, "it is an index of several images; resolve it to one of them first")
	}
	parsed, err := doc.parse()
	if err != nil {
		return nil, err
	}
	if err := checkManifest(parsed); err != nil {
		return nil, err
	}
	img := &contents{manifest: parsed, unique: unique(parsed.Layers)}
	if img.config, err = s.config(ctx, parsed.Config); err != nil {
		return nil, err
	}
	config, err := v1.ParseConfigFile(bytes.NewReader(img.config))
	if err != nil {
		return nil, &fault{kind: notAnImage, reason: "its config is not readable JSON", err: err}
	}
	if len(config.RootFS.DiffIDs) != len(parsed.Layers) {
		return nil, faultf(notAnImage, "its config speaks of %d layers and its manifest of %d", len(config.RootFS.DiffIDs), len(parsed.Layers))
	}
	img.platform = v1.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant, OSVersion: config.OSVersion}
	return img, nil
}

func checkManifest(m *v1.Manifest) error {
	if !isConfig(m.Config.MediaType) {
		return faultf(unsupported, "it is not a container image: its config is of the kind %.100q", string(m.Config.MediaType))
	}
	if m.Config.Size < 0 || m.Config.Size > configLimit {
		return faultf(oversize, "its config has %d bytes, the limit is %d", m.Config.Size, configLimit)
	}
	if len(m.Layers) > mostLayers {
		return faultf(unsupported, "it has %d layers, more than %d", len(m.Layers), mostLayers)
	}
	sizes := map[v1.Hash]int64{}
	for _, l := range append([]v1.Descriptor{m.Config}, m.Layers...) {
		if l.Digest.Algorithm != "sha256" {
			return faultf(unsupported, "it has a part whose digest is not of the kind sha256: %.80s", l.Digest)
		}
		if before, seen := sizes[l.Digest]; l.Size < 0 || seen && before != l.Size {
			return faultf(notAnImage, "its manifest gives %s an impossible size", l.Digest)
		}
		sizes[l.Digest] = l.Size
	}
	for _, l := range m.Layers {
		if !isLayer(l.MediaType) {
			return faultf(unsupported, "it has a layer of the unknown kind %.100q", string(l.MediaType))
		}
	}
	return nil
}

// untyped is what some tools call every blob, an image's configuration among them. What it holds is read and checked anyway.
const untyped types.MediaType = "application/octet-stream"

// isConfig reports whether a part of this kind may be a container's configuration.
func isConfig(kind types.MediaType) bool { return kind.IsConfig() || kind == untyped }

// dockerZstd is the name that container tools give a layer compressed with Zstandard in a manifest of Docker's schema 2.
const dockerZstd types.MediaType = "application/vnd.docker.image.rootfs.diff.tar.zstd"

// isLayer reports whether a part of this kind is a layer that a scan client can unpack.
func isLayer(kind types.MediaType) bool { return kind.IsLayer() || kind == dockerZstd }

func unique(layers []v1.Descriptor) []v1.Descriptor {
	var once []v1.Descriptor
	seen := map[v1.Hash]bool{}
	for _, l := range layers {
		if !seen[l.Digest] {
			once = append(once, l)
		}
		seen[l.Digest] = true
	}
	return once
}

func (s *source) config(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	body, _, err := s.small(ctx, "blobs/"+d.Digest.String(), "config", d.Size)
	if err != nil {
		return nil, err
	}
	if got := sum(body); got != d.Digest {
		return nil, faultf(mismatch, "the config does not match its digest: want %s, the registry sent %s", d.Digest, got)
	}
	return body, nil
}

// small fetches a document into memory, trying again as the table says.
func (s *source) small(ctx context.Context, path, what string, limit int64) (body []byte, header http.Header, err error) {
	err = s.retry(ctx, func() error {
		body, header, err = s.fetchSmall(ctx, path, what, limit)
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("get %s: %w", what, err)
	}
	return body, header, nil
}
