package kubernetes

import (
	"strings"

	"github.com/perceptor/perceptor/internal/perceiver"
	"github.com/perceptor/perceptor/model"
)

// schemeEnd ends the runtime's name in an image ID.
const schemeEnd = "://"

// parseImageID reads what a runtime reports as a container's imageID: the repository and the digest of a manifest or an
// index. Both are empty where it names neither, as for an image the runtime knows only by its configuration:
//
//	docker-pullable://repo@sha256:...   Docker, pulled from a registry
//	docker://sha256:...                 Docker, built on the node: a configuration
//	repo@sha256:...                     containerd and CRI-O
//	sha256:... or 64 digits             containerd and CRI-O, never pulled under a name: a configuration
//	(empty)                             not started yet
func parseImageID(id string) (repository string, digest model.Digest) {
	if len(id) > perceiver.LongestReference {
		return "", ""
	}
	if _, rest, found := strings.Cut(id, schemeEnd); found {
		id = rest
	}
	repository, _, digest = perceiver.SplitReference(id)
	if repository == "" || digest == "" {
		return "", ""
	}
	return repository, digest
}
