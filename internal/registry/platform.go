package registry

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/platforms"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	specs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/perceptor/perceptor/model"
)

// The bounds of an index that holds further indexes: how deep, how many of them are read for one image, and how many images
// they may name together. Indexes of real images name some dozens.
const (
	deepestIndex = 4
	mostIndexes  = 32
	mostEntries  = 2000
)

// entry is an image that an index names.
type entry struct {
	digest v1.Hash
	// platform is what the index says of it; nil where it says nothing.
	platform *v1.Platform
}

// entries are the images of an index and of the indexes in it, in their order.
func (s *source) entries(ctx context.Context, index document) ([]entry, error) {
	var all []entry
	read := 0
	err := s.collect(ctx, index, deepestIndex, &read, &all)
	return all, err
}

func (s *source) collect(ctx context.Context, index document, depth int, read *int, all *[]entry) error {
	if *read++; depth == 0 || *read > mostIndexes {
		return faultf(noneFits, "its index holds indexes more than %d deep, or more than %d of them", deepestIndex, mostIndexes)
	}
	parsed, err := v1.ParseIndexManifest(bytes.NewReader(index.body))
	if err != nil {
		return &fault{kind: notAnImage, reason: "its index is not readable JSON", err: err}
	}
	for _, d := range parsed.Manifests {
		switch {
		case d.MediaType.IsIndex():
			if d.Digest.Algorithm != "sha256" {
				return faultf(notAnImage, "its index names an index without a usable digest")
			}
			inner, err := s.manifest(ctx, d.Digest.String())
			if err != nil {
				return err
			}
			if !inner.mediaType.IsIndex() {
				return faultf(notAnImage, "its index calls %s an index, which it is not", d.Digest)
			}
			if err := s.collect(ctx, inner, depth-1, read, all); err != nil {
				return err
			}
		case d.MediaType == "" || d.MediaType.IsImage():
			*all = append(*all, entry{digest: d.Digest, platform: platformIn(d)})
		}
		if len(*all) > mostEntries {
			return faultf(noneFits, "its index names more than %d images", mostEntries)
		}
	}
	return nil
}

// platformIn is the platform of an index's entry; nil where it names none.
func platformIn(d v1.Descriptor) *v1.Platform {
	if d.Platform == nil || d.Platform.OS == "" && d.Platform.Architecture == "" {
		return nil
	}
	return d.Platform
}

// noImage reports whether an entry is something that belongs to an image, such as a build attestation.
func (e entry) noImage() bool { return e.platform != nil && e.platform.OS == "unknown" }

// choose picks the manifest that a machine of this platform would run, by the rules of containerd. What is not known of the
// platform is not guessed: then there must be only one image that can be meant. The problem is why something is not known.
func choose(entries []entry, wanted model.Platform, problem string) (v1.Hash, error) {
	fitting := fits(entries, wanted)
	if len(fitting) == 0 {
		return v1.Hash{}, onlyOthers(wanted, entries)
	}
	if vague(wanted) && slices.ContainsFunc(fitting, func(e entry) bool { return e.digest != fitting[0].digest }) {
		return v1.Hash{}, severalFit(wanted, problem, fitting)
	}
	if fitting[0].digest.Algorithm != "sha256" {
		return v1.Hash{}, faultf(notAnImage, "its index names an image without a usable digest")
	}
	return fitting[0].digest, nil
}

// vague reports whether a platform leaves open what its machine would choose.
func vague(p model.Platform) bool {
	return p.OS == "" || p.Architecture == "" || p.OS == windows && p.OSVersion == ""
}

// windows is the one system whose images fit certain versions of it alone.
const windows = "windows"

// fits are the entries that a machine of this platform could run, the best first.
func fits(entries []entry, wanted model.Platform) []entry {
	images := slices.DeleteFunc(slices.Clone(entries), entry.noImage)
	var fitting []entry
	for _, e := range images {
		// An entry without a platform can only be meant when there is no choice.
		if e.platform == nil && len(images) == 1 || e.platform != nil && serves(*e.platform, wanted) {
			fitting = append(fitting, e)
		}
	}
	if wanted.OS == "" || wanted.Architecture == "" {
		return fitting
	}
	rule := platforms.Only(asSpec(wanted))
	slices.SortStableFunc(fitting, func(a, b entry) int {
		switch {
		case a.platform == nil || b.platform == nil:
			return 0
		case rule.Less(specOf(*a.platform), specOf(*b.platform)):
			return -1
		case rule.Less(specOf(*b.platform), specOf(*a.platform)):
			return 1
		}
		// Of several versions of Windows that the machine can run, it takes the newest.
		return compareVersions(b.platform.OSVersion, a.platform.OSVersion)
	})
	return fitting
}

// serves reports whether an image for have runs on a machine of a platform, of which not everything may be known.
func serves(have v1.Platform, wanted model.Platform) bool {
	if wanted.OS != "" && wanted.Architecture != "" {
		return platforms.Only(asSpec(wanted)).Match(specOf(have))
	}
	normal, want := platforms.Normalize(specOf(have)), platforms.Normalize(asSpec(wanted))
	return (wanted.OS == "" || normal.OS == want.OS) && (wanted.Architecture == "" || normal.Architecture == want.Architecture)
}

func asSpec(p model.Platform) specs.Platform {
	return specs.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, OSVersion: p.OSVersion}
}

func specOf(p v1.Platform) specs.Platform {
	return specs.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, OSVersion: p.OSVersion, OSFeatures: p.OSFeatures}
}

func asPlatform(p v1.Platform) model.Platform {
	return model.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, OSVersion: p.OSVersion}
}

// compareVersions orders versions of Windows such as 10.0.20348.1850 by their numbers. What is no number counts as none.
func compareVersions(a, b string) int {
	return slices.Compare(numbersIn(a), numbersIn(b))
}

func numbersIn(version string) []uint64 {
	var numbers []uint64
	for part := range strings.SplitSeq(version, ".") {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil {
			break
		}
		numbers = append(numbers, n)
	}
	return numbers
}

// onlyOthers is the failure of an image that exists for other platforms alone.
func onlyOthers(wanted model.Platform, offered []entry) error {
	words := offers(offered)
	if words == "" {
		return faultf(noneFits, "there is no image for %s in it, nor for any other platform", inWords(wanted))
	}
	return faultf(noneFits, "there is no image for %s in it, only for %s", inWords(wanted), words)
}

// severalFit is the failure of an image whose machine is not known well enough, with the perceiver's reason where it gave one.
func severalFit(wanted model.Platform, problem string, fitting []entry) error {
	part := ""
	if wanted != (model.Platform{}) {
		part = " in full (" + wanted.String() + ")"
	}
	if problem != "" {
		return faultf(noneFits, "the platform that it runs on is not known%s: %s; its index has images for %s", part, problem, offers(fitting))
	}
	const advice = "the platform that it runs on is not known%s, and its index has images for %s; can the perceiver read the nodes?"
	return faultf(noneFits, advice, part, offers(fitting))
}

// inWords is a platform in a sentence.
func inWords(p model.Platform) string {
	if p == (model.Platform{}) {
		return "an unknown platform"
	}
	return p.String()
}

// offersAtMost is how many platforms a reason names.
const offersAtMost = 8

// offers are the platforms of entries in a sentence; empty where none is named.
func offers(entries []entry) string {
	var have []model.Platform
	for _, e := range entries {
		if e.platform != nil && !e.noImage() {
			have = append(have, asPlatform(*e.platform))
		}
	}
	slices.SortFunc(have, func(a, b model.Platform) int { return cmp.Compare(a.String(), b.String()) })
	var words []string
	for _, p := range slices.Compact(have) {
		if len(words) == offersAtMost {
			words = append(words, "others")
			break
		}
		words = append(words, p.String())
	}
	return strings.Join(words, ", ")
}
