package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/perceptor/perceptor/internal/perceiver"
	"github.com/perceptor/perceptor/model"
)

// repositoryLength is the longest path of a repository, by the specification of OCI's distribution.
const repositoryLength = 255

var (
	// repositoryForm is wider than the specification: Artifactory has capital letters in its keys.
	repositoryForm = regexp.MustCompile(`^[A-Za-z0-9]+(?:[._-]+[A-Za-z0-9]+)*(?:/[A-Za-z0-9]+(?:[._-]+[A-Za-z0-9]+)*)*$`)
	tagForm        = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	// attachedForm are tags that hold a signature, an SBOM or another thing about an image, by the convention of cosign and of OCI.
	attachedForm = regexp.MustCompile(`^sha256-[0-9a-f]{64}(?:\.[a-z0-9]+)?$`)
)

func isRepository(name string) bool {
	return len(name) <= repositoryLength && repositoryForm.MatchString(name)
}

// isImageTag reports whether a tag is one, and not the name of something about an image.
func isImageTag(tag string) bool { return tagForm.MatchString(tag) && !attachedForm.MatchString(tag) }

// namespaceOf is a repository as the name of a namespace. A colon stands in no repository, so two never have the same name.
func namespaceOf(repository string) string {
	name := strings.ReplaceAll(repository, "/", ":")
	if len(name) <= model.NamespaceLength {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	short := hex.EncodeToString(sum[:8])
	return name[:model.NamespaceLength-len(short)-1] + ":" + short
}

// uidOf tells a tag from all others of the registry. A tag that moves keeps it, so that its row is replaced.
func uidOf(repository, tag string) string {
	sum := sha256.Sum256([]byte(repository + ":" + tag))
	return hex.EncodeToString(sum[:])
}

// podOf is a tag as it is reported.
func (o Options) podOf(repository, tag string, digest model.Digest) model.Pod {
	return model.Pod{
		UID: uidOf(repository, tag), Namespace: namespaceOf(repository), Name: tag, Platform: o.Platform, Credential: o.Credential,
		Containers: []model.Container{{
			Name: "image", Kind: model.ContainerMain, Reference: perceiver.JoinReference(o.Host+"/"+repository, tag), Digest: digest,
		}},
	}
}
