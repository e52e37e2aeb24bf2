package kubernetes

import (
	"strings"

	"github.com/perceptor/perceptor/internal/perceiver"
	"github.com/perceptor/perceptor/model"
)

// schemeEnd ends the runtime's name in an image ID.
const schemeEnd = "://"

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
	if len(id) > perceiver.LongestReference {
		return "", ""
	}
	if _, rest, found := strings.Cut(id, schemeEnd); found {
		id = rest
	}
	if own, err := model.ParseDigest(id); err == nil {
		return "", own
	}
	repository, _, digest = perceiver.SplitReference(id)
	if repository == "" || digest == "" {
		return "", ""
	}
	return repository, digest
}
