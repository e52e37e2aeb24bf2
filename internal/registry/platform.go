package registry

import (
	"bytes"
	"cmp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/perceptor/perceptor/model"
)

// choose picks the manifest of an index that a machine of this platform would run.
func choose(index []byte, wanted model.Platform) (v1.Hash, error) {
	parsed, err := v1.ParseIndexManifest(bytes.NewReader(index))
	if err != nil {
		return v1.Hash{}, &fault{kind: notAnImage, reason: "its index is not readable JSON", err: err}
	}
	if wanted == (model.Platform{}) {
		wanted = model.Platform{OS: "linux", Architecture: runtime.GOARCH}
	}
	var best *v1.Descriptor
	var offered []model.Platform
	for i, entry := range parsed.Manifests {
		if entry.MediaType != "" && !entry.MediaType.IsImage() {
			continue
		}
		have, known := platformOf(entry)
		if known {
			offered = append(offered, have)
		}
		// An entry without a platform can only be meant when there is no choice.
		if !serves(have, wanted) && (known || len(parsed.Manifests) > 1) {
			continue
		}
		if best == nil || distance(have, wanted) < distance(asPlatform(best), wanted) {
			best = &parsed.Manifests[i]
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
