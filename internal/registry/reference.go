package registry

import (
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/perceptor/perceptor/model"
)

// longestReference is far above the 255 characters that registries accept for a name, with tag and digest.
const longestReference = 1024

// parseReference reads what a person or a platform calls an image. The name it returns has the tag only when the
// reference had one, beside a digest too, or when it had neither and "latest" is meant.
func parseReference(reference string, hosts map[string]Host) (name.Reference, model.Name, error) {
	if len(reference) > longestReference {
		return nil, model.Name{}, faultf(badReference, "the reference has %d characters, more than %d", len(reference), longestReference)
	}
	if strings.HasPrefix(reference, "http://") || strings.HasPrefix(reference, "https://") {
		return nil, model.Name{}, faultf(badReference, "%q is a URL; leave out %s", reference, reference[:strings.Index(reference, "//")+2])
	}
	ref, err := name.ParseReference(reference, name.WeakValidation)
	if err != nil {
		return nil, model.Name{}, faultf(badReference,
			"%q is not an image reference; write registry/repository:tag or registry/repository@sha256:<64 hexadecimal digits>", reference)
	}
	if plain(ref.Context().RegistryStr(), hosts) {
		if ref, err = name.ParseReference(reference, name.WeakValidation, name.Insecure); err != nil {
			return nil, model.Name{}, &fault{kind: badReference, reason: "the reference cannot be read", err: err}
		}
	}
	imageName := model.Name{Repository: ref.Context().Name()}
	switch typed := ref.(type) {
	case name.Tag:
		imageName.Tag = typed.TagStr()
	case name.Digest:
		if _, err := model.ParseDigest(typed.DigestStr()); err != nil || !strings.HasPrefix(typed.DigestStr(), "sha256:") {
			return nil, model.Name{}, faultf(unsupported, "the digest %.80s is not of the kind sha256, the only one that is read here", typed.DigestStr())
		}
		imageName.Tag = tagBeside(reference)
	}
	return ref, imageName, nil
}

// tagBeside is the tag in "repository:tag@digest", which is no part of the parsed digest reference.
func tagBeside(reference string) string {
	base, _, _ := strings.Cut(reference, "@")
	tag, err := name.NewTag(base, name.WeakValidation)
	if err != nil || !strings.HasSuffix(base, ":"+tag.TagStr()) {
		return ""
	}
	return tag.TagStr()
}

// parseRepository reads the repository of a name that Resolve or a platform gave.
func parseRepository(repository string, hosts map[string]Host) (name.Repository, error) {
	repo, err := name.NewRepository(repository, name.WeakValidation)
	if err == nil && plain(repo.RegistryStr(), hosts) {
		repo, err = name.NewRepository(repository, name.WeakValidation, name.Insecure)
	}
	if err != nil {
		return name.Repository{}, faultf(badReference, "%q is not a repository; write registry/repository", repository)
	}
	return repo, nil
}
