package docker

import (
	"context"
	"fmt"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/perceptor/perceptor/internal/perceiver"
	"github.com/perceptor/perceptor/model"
)

// Why an image is not known by a registry's digest.
const (
	problemLocal   = "the image has no registry digest, and the engine gives it no ID by which it can be exported"
	problemGone    = "the engine does not have the image of the container any longer, so its registry digest is not known"
	problemNoID    = "the engine did not say which image the container runs"
	problemService = "the service names no digest for its image, and the task runs on another node"
)

// repoDigest is one name under which a registry gave an image.
type repoDigest struct {
	repository string
	digest     model.Digest
}

// imageInfo is what the engine knows of an image.
type imageInfo struct {
	digests  []repoDigest
	tags     []string
	platform model.Platform
	// id is what the engine calls the image, and engine the engine's ID, where that is the only way to the image.
	id     model.Digest
	engine string
	// problem is why the image cannot be found.
	problem string
}

// digestsAtMost bounds how many names of one image are read.
const digestsAtMost = 100

// infoOf reads what an engine says of an image. One without a registry's digest was built or loaded there: it is known by the ID that
// the engine gave it, and only this engine has it.
func infoOf(i image.InspectResponse, engine string) imageInfo {
	info := imageInfo{platform: platformOf(i.Os, i.Architecture, i.Variant)}
	for _, each := range i.RepoDigests[:min(len(i.RepoDigests), digestsAtMost)] {
		repository, _, digest := perceiver.SplitReference(each)
		if digest != "" && validRepository(repository) {
			info.digests = append(info.digests, repoDigest{perceiver.WithHost(repository), digest})
		}
	}
	for _, each := range i.RepoTags[:min(len(i.RepoTags), digestsAtMost)] {
		if repository, _, _ := perceiver.SplitReference(each); validRepository(repository) {
			info.tags = append(info.tags, each)
		}
	}
	if len(info.digests) > 0 {
		return info
	}
	id, err := model.ParseDigest(i.ID)
	if err != nil || model.CheckName("engine", engine, model.EngineLength) != nil {
		info.problem = problemLocal
		return info
	}
	info.id, info.engine = id, engine
	return info
}

// validRepository is false for what engines write where an image has no name: "<none>".
func validRepository(repository string) bool {
	return repository != "" && len(repository) <= model.RepositoryLength && !strings.ContainsAny(repository, "<>")
}

// container is a container that runs the image under a name. Of the image's names in registries it has that of the container, when
// that is one of them.
func (i imageInfo) container(name, reference string) model.Container {
	c := model.Container{Name: name, Kind: model.ContainerMain}
	repository, tag := named(reference)
	if len(i.digests) == 0 {
		c.Problem, c.Engine, c.Digest = i.problem, i.engine, i.id
		c.Reference = perceiver.JoinReference(repository, tag)
		if repository == "" {
			c.Reference = i.anyName(reference)
		}
		return c
	}
	chosen := i.digests[0]
	for _, each := range i.digests {
		if repository != "" && each.repository == perceiver.WithHost(repository) {
			chosen = each
		}
	}
	if repository == "" || chosen.repository != perceiver.WithHost(repository) {
		tag = ""
	}
	c.Reference, c.Digest = perceiver.JoinReference(chosen.repository, tag), chosen.digest
	return c
}

// anyName is how an image is called whose container does not say it: by one of its tags, or by its ID.
func (i imageInfo) anyName(reference string) string {
	if len(i.tags) > 0 {
		return i.tags[0]
	}
	return cleanName(perceiver.Clip(strings.TrimPrefix(reference, model.DigestPrefix), model.TagLength), "unnamed")
}

// named is the repository and the tag in a reference. Both are empty where it is an ID, or nothing that can be reported.
func named(reference string) (repository, tag string) {
	if perceiver.IsConfiguration(reference) || len(reference) > perceiver.LongestReference {
		return "", ""
	}
	repository, tag, _ = perceiver.SplitReference(reference)
	if !validRepository(repository) || len(tag) > model.TagLength {
		return "", ""
	}
	return repository, tag
}

// platformOf is a platform in the words of registries; engines and their nodes also use those of kernels.
func platformOf(system, architecture, variant string) model.Platform {
	switch strings.ToLower(architecture) { // as kernels of 32 bits call themselves, which Normalize does not know
	case "armv7l", "armv8l":
		architecture, variant = "arm", "v7"
	case "armv6l":
		architecture, variant = "arm", "v6"
	case "i686":
		architecture = "386"
	}
	n := platforms.Normalize(ocispec.Platform{OS: system, Architecture: architecture, Variant: variant})
	if system == "" {
		n.OS = "" // Normalize takes that of this program
	}
	p := model.Platform{OS: n.OS, Architecture: n.Architecture, Variant: n.Variant}
	if text := p.String(); len(text) > model.PodNameLength || !perceiver.Plain(text) {
		return model.Platform{}
	}
	return p
}

// images remembers what the engine knows of images.
type images struct {
	engine Engine
	// id is the engine's own ID.
	id    string
	known map[string]imageInfo
	// stale says that names of images have changed, so all are asked for again.
	stale bool
}

// begin makes ready for a list of the engine with that ID. Only what the last list used is remembered.
func (i *images) begin(id string) (last map[string]imageInfo) {
	last = i.known
	if i.stale || i.id != id {
		last = nil
	}
	i.known, i.stale, i.id = map[string]imageInfo{}, false, id
	return last
}

// of is what is known of an image. An error means that the engine did not answer; that it has no such image, or cannot read it, is an
// answer.
func (i *images) of(ctx context.Context, last map[string]imageInfo, id string) (imageInfo, error) {
	if info, known := i.known[id]; known {
		return info, nil
	}
	if info, known := last[id]; known {
		i.known[id] = info
		return info, nil
	}
	if _, err := model.ParseDigest(id); err != nil {
		return imageInfo{problem: problemNoID}, nil
	}
	answer, err := i.engine.Image(ctx, id)
	switch {
	case err == nil:
		info := infoOf(answer, i.id)
		i.known[id] = info
		return info, nil
	case cerrdefs.IsNotFound(err):
		return imageInfo{problem: problemGone}, nil
	case ctx.Err() != nil || client.IsErrConnectionFailed(err) || cerrdefs.IsUnavailable(err) || cerrdefs.IsDeadlineExceeded(err):
		return imageInfo{}, err
	default:
		// Not remembered: it is asked for again with the next list.
		text := strings.Map(printable, fmt.Sprintf("the engine cannot read the image, so its registry digest is not known: %v", err))
		return imageInfo{problem: perceiver.Clip(text, model.ProblemLength)}, nil
	}
}

// printable has a space for each control character.
func printable(r rune) rune {
	if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
		return ' '
	}
	return r
}
