package registry

import (
	"bytes"
	"cmp"
	"context"
	"runtime"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/perceptor/perceptor/model"
)

// The bounds of an index that holds further indexes: how deep, and how many of them are read for one image.
const (
	deepestIndex = 4
	mostIndexes  = 32
)

// follow reads an index, and the indexes in it, and fetches the manifest that a machine of this platform would run.
func (s *source) follow(ctx context.Context, index document, wanted model.Platform) (document, error) {
	read := 0
	entries, err := s.entries(ctx, index, deepestIndex, &read)
	if err != nil {
		return document{}, err
	}
	chosen, err := choose(entries, wanted)
	if err != nil {
		return document{}, err
	}
	return s.manifest(ctx, chosen.String())
}

// entries are the images of an index and of the indexes in it, in their order.
func (s *source) entries(ctx context.Context, index document, depth int, read *int) ([]v1.Descriptor, error) {
	if *read++; depth == 0 || *read > mostIndexes {
		return nil, faultf(unsupported, "its index holds indexes more than %d deep, or more than %d of them", deepestIndex, mostIndexes)
	}
	parsed, err := v1.ParseIndexManifest(bytes.NewReader(index.body))
	if err != nil {
		return nil, &fault{kind: notAnImage, reason: "its index is not readable JSON", err: err}
	}
	var all []v1.Descriptor
	for _, entry := range parsed.Manifests {
		if !entry.MediaType.IsIndex() {
			all = append(all, entry)
			continue
		}
		inner, err := s.manifest(ctx, entry.Digest.String())
		if err != nil {
			return nil, err
		}
		if !inner.mediaType.IsIndex() {
			return nil, faultf(notAnImage, "its index calls %s an index, which it is not", entry.Digest)
		}
		below, err := s.entries(ctx, inner, depth-1, read)
		if err != nil {
			return nil, err
		}
		all = append(all, below...)
	}
	return all, nil
}

// choose picks the manifest that a machine of this platform would run.
func choose(entries []v1.Descriptor, wanted model.Platform) (v1.Hash, error) {
	if wanted == (model.Platform{}) {
		wanted = model.Platform{OS: "linux", Architecture: runtime.GOARCH}
	}
	var best *v1.Descriptor
	var offered []model.Platform
	for i, entry := range entries {
		if entry.MediaType != "" && !entry.MediaType.IsImage() {
			continue
		}
		have, known := platformOf(entry)
		if known {
			offered = append(offered, have)
		}
		// An entry without a platform can only be meant when there is no choice.
		if !serves(have, wanted) && (known || len(entries) > 1) {
			continue
		}
		if best == nil || distance(have, wanted) < distance(asPlatform(best), wanted) {
			best = &entries[i]
		}
	}
	if best == nil {
		return v1.Hash{}, onlyOthers(wanted, offered)
	}
	if best.Digest.Algorithm != "sha256" {
		return v1.Hash{}, faultf(notAnImage, "its index names an image without a usable digest")
	}
	return best.Digest, nil
}

func asPlatform(d *v1.Descriptor) model.Platform {
	p, _ := platformOf(*d)
	return p
}

// platformOf is the platform of an index's entry. Build attestations call theirs "unknown".
func platformOf(d v1.Descriptor) (model.Platform, bool) {
	if d.Platform == nil || d.Platform.OS == "" && d.Platform.Architecture == "" {
		return model.Platform{}, false
	}
	p := model.Platform{OS: d.Platform.OS, Architecture: d.Platform.Architecture, Variant: d.Platform.Variant}
	return p, true
}

// serves reports whether an image for have runs on wanted: the same system and architecture, and no newer variant of it.
func serves(have, wanted model.Platform) bool {
	if wanted.OS != "" && have.OS != wanted.OS || wanted.Architecture != "" && have.Architecture != wanted.Architecture {
		return false
	}
	return wanted.Variant == "" || variant(have) <= variant(wanted)
}

// distance is 0 for exactly the wanted variant and grows with how far an image is from it; without a wanted
// variant the usual one of its architecture is nearest.
func distance(have, wanted model.Platform) int {
	d := variant(wanted) - variant(have)
	if d < 0 {
		return -d
	}
	return d
}

// usualVariant is what an architecture without a variant means to container runtimes.
var usualVariant = map[string]int{"arm": 7, "arm64": 8, "amd64": 1}

// variant is the number in "v7", or the usual one of the architecture when none is written.
func variant(p model.Platform) int {
	if n, err := strconv.Atoi(strings.TrimPrefix(p.Variant, "v")); err == nil {
		return n
	}
	return usualVariant[p.Architecture]
}

// onlyOthers is the failure of an image that exists for other platforms alone.
func onlyOthers(wanted model.Platform, offered []model.Platform) error {
	offered = slices.DeleteFunc(offered, func(p model.Platform) bool { return p.OS == "unknown" })
	if len(offered) == 0 {
		return faultf(unsupported, "there is no image for %s in it, nor for any other platform", wanted)
	}
	slices.SortFunc(offered, func(a, b model.Platform) int { return cmp.Compare(a.String(), b.String()) })
	var words []string
	for _, p := range slices.Compact(offered) {
		words = append(words, p.String())
	}
	return faultf(unsupported, "there is no image for %s in it, only for %s", wanted, strings.Join(words, ", "))
}
