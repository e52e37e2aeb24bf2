package kubernetes

import (
	"strings"

	"github.com/perceptor/perceptor/model"
)

const (
	sha256Prefix = "sha256:"
	schemeEnd    = "://"
	// longestReference is far above what any registry accepts; what is longer is not worth keeping for 100,000 pods.
	longestReference = 4096
)

// parseImageID reads what a runtime reports as a container's imageID. With a repository the digest is that of a manifest or an
// index. Without one it is an ID of the runtime's own: the digest of a configuration, or of a manifest where the runtime names
// images by these. Both are empty where nothing can be read:
//
//	docker-pullable://repo@sha256:...   Docker, pulled from a registry
//	docker://sha256:...                 Docker, built on the node: an ID
//	repo@sha256:...                     containerd and CRI-O
//	sha256:... or 64 digits             containerd and CRI-O, never pulled under a name: an ID
//	(empty)                             not started yet
func parseImageID(id string) (repository string, digest model.Digest) {
	if len(id) > longestReference {
		return "", ""
	}
	if _, rest, found := strings.Cut(id, schemeEnd); found {
		id = rest
	}
	if own, err := model.ParseDigest(id); err == nil {
		return "", own
	}
	repository, _, digest = splitReference(id)
	if repository == "" || digest == "" {
		return "", ""
	}
	return repository, digest
}

// splitReference takes a reference apart: "host:5000/team/app:1@sha256:..." has all three. A digest that is none leaves
// everything empty, and so does one without a repository.
func splitReference(reference string) (repository, tag string, digest model.Digest) {
	repository, sum, pinned := strings.Cut(reference, "@")
	if pinned {
		parsed, err := model.ParseDigest(sum)
		if err != nil || !strings.HasPrefix(sum, sha256Prefix) {
			return "", "", ""
		}
		digest = parsed
	}
	if colon := strings.LastIndexByte(repository, ':'); colon > strings.LastIndexByte(repository, '/') {
		repository, tag = repository[:colon], repository[colon+1:]
	}
	if !plain(repository) || !plain(tag) || repository == "" {
		return "", "", ""
	}
	return repository, tag, digest
}

// plain reports whether a part of a reference has nothing in it that no registry's name has.
func plain(part string) bool {
	for i := range len(part) {
		if part[i] <= ' ' || part[i] >= 0x7f {
			return false
		}
	}
	return true
}

// isConfiguration reports whether a reference is only the digest of an image's configuration, which no registry serves.
func isConfiguration(reference string) bool {
	_, err := model.ParseDigest(reference)
	return err == nil
}

// hasHost reports whether a repository begins with its registry, by Docker's rule.
func hasHost(repository string) bool {
	first, _, found := strings.Cut(repository, "/")
	return found && (strings.ContainsAny(first, ".:") || first == "localhost")
}

// joinReference is repository with tag, where there is one.
func joinReference(repository, tag string) string {
	return model.Name{Repository: repository, Tag: tag}.Reference()
}
