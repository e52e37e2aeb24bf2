package registry

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/perceptor/perceptor/model"
)

// Question asks which manifest an image is.
type Question struct {
	// Reference is any form that a person or a platform writes: tag, index digest or manifest digest.
	Reference string
	// Reported is the digest that a runtime reports: that of a manifest, of an index, or of an image's configuration. It says
	// what runs, whatever the reference leads to today. Empty: nothing is reported.
	Reported model.Digest
	// Repository is where the runtime says that the image is from, if that is another repository than the reference's. It is
	// tried too.
	Repository string
	// Platform chooses the manifest out of an index. What is not known of it is not guessed.
	Platform model.Platform
	// ScannerPlatform says that no machine is meant: an empty platform is then Linux on this machine's architecture.
	ScannerPlatform bool
	// PlatformProblem is why the platform is not known, as the perceiver says; it becomes part of the failure.
	PlatformProblem string
	// Credential is a name from Options, or empty for the host's docker configuration.
	Credential string
}

// Resolved is one platform manifest.
type Resolved struct {
	Digest model.Digest
	// Name is where it was found, the registry's host included.
	Name model.Name
	// Platform is what the image itself says it was built for.
	Platform model.Platform
	// Size is the sum of its compressed layers and its config in bytes; a layer that occurs twice counts once.
	Size int64
}

// Resolve finds the manifest of an image. An index is followed to the manifest of the platform; a single manifest asked for by
// digest is what it is, whatever its platform. A digest that a runtime reported is believed before the reference: where no
// registry has it as a manifest, it must be the configuration of the image that the reference leads to. An image that is not
// the reported one is never the answer. Each registry has a limited time to answer. The error is an *Error.
func (c *Client) Resolve(ctx context.Context, q Question) (Resolved, error) {
	resolved, failure := c.resolve(ctx, q)
	if failure != nil {
		return Resolved{}, failure
	}
	return resolved, nil
}

func (c *Client) resolve(ctx context.Context, q Question) (Resolved, *Error) {
	if q.Reported == "" {
		return c.ask(ctx, q, q.Reference, (*source).byReference)
	}
	var worst *Error
	for _, reference := range q.pinned() {
		resolved, failure := c.ask(ctx, q, reference, (*source).byReference)
		if failure == nil {
			return resolved, nil
		}
		worst = heavier(worst, failure)
		if ctx.Err() != nil {
			return Resolved{}, worst
		}
	}
	// What was reported with its repository is a manifest. What was reported alone may be a configuration, and a registry has
	// no manifest of that digest.
	if q.Repository != "" || !slices.Contains([]kind{absent, rejected, notAnImage, unsupported}, worst.kind) {
		return Resolved{}, worst
	}
	return c.ask(ctx, q, q.Reference, (*source).byConfiguration)
}

// platform is what chooses out of an index.
func (q Question) platform() model.Platform {
	if q.ScannerPlatform && q.Platform.Architecture == "" {
		return model.Platform{OS: "linux", Architecture: runtime.GOARCH}
	}
	return q.Platform
}

// pinned are the references that name the reported digest, in the order in which they are tried.
func (q Question) pinned() []string {
	reference, _, _ := strings.Cut(q.Reference, "@")
	pinned := []string{reference + "@" + string(q.Reported)}
	if q.Repository != "" {
		pinned = append(pinned, q.Repository+"@"+string(q.Reported))
	}
	return pinned
}

// ask lets one registry answer a question in its time, with each of its logins in turn.
func (c *Client) ask(
	ctx context.Context, q Question, reference string, find func(*source, context.Context, name.Reference, Question) (Resolved, error),
) (Resolved, *Error) {
	ref, imageName, err := parseReference(reference, c.options.Hosts)
	if err != nil {
		return Resolved{}, explain(ctx, "resolve", reference, q.Credential, err)
	}
	imageName.Credential = q.Credential
	limited, cancel := context.WithTimeoutCause(ctx, c.pace.question, errUnanswered)
	defer cancel()
	var resolved Resolved
	err = c.withLogins(limited, ref.Context(), q.Credential, func(s *source) error {
		var err error
		resolved, err = find(s, limited, ref, q)
		return err
	})
	if err != nil {
		if errors.Is(context.Cause(limited), errUnanswered) {
			err = errUnanswered
		}
		return Resolved{}, explain(ctx, "resolve", reference, q.Credential, err)
	}
	resolved.Name = imageName
	return resolved, nil
}

// errUnanswered is the cause given to a question that a registry did not answer in its time.
var errUnanswered = &fault{kind: timedOut, reason: "the registry did not answer in time"}

// byReference finds the manifest that a reference means.
func (s *source) byReference(ctx context.Context, ref name.Reference, q Question) (Resolved, error) {
	doc, err := s.manifest(ctx, ref.Identifier())
	if err != nil {
		return Resolved{}, err
	}
	_, exact := ref.(name.Digest)
	if doc.mediaType.IsIndex() {
		if doc, err = s.follow(ctx, doc, q); err != nil {
			return Resolved{}, err
		}
		exact = true
	}
	img, err := s.image(ctx, doc)
	if err != nil {
		return Resolved{}, err
	}
	// A configuration that names no platform is one of a tool that writes none: the image is what it is.
	if !exact && !img.runsOn(q.Platform) {
		return Resolved{}, onlyOthers(q.Platform, []entry{{platform: &img.platform}})
	}
	return resolvedOf(doc, img), nil
}

func resolvedOf(doc document, img *contents) Resolved {
	return Resolved{Digest: model.Digest(doc.digest.String()), Platform: asPlatform(img.platform), Size: img.size()}
}

// follow reads an index, and the indexes in it, and fetches the manifest that a machine of the question's platform would run.
func (s *source) follow(ctx context.Context, index document, q Question) (document, error) {
	all, err := s.entries(ctx, index)
	if err != nil {
		return document{}, err
	}
	chosen, err := choose(all, q.platform(), q.PlatformProblem)
	if err != nil {
		return document{}, err
	}
	return s.manifest(ctx, chosen.String())
}

// comparedAtMost is how many manifests of an index are read to find the one with a configuration.
const comparedAtMost = 32

// byConfiguration finds the manifest with the reported configuration behind a reference. The reference may lead to another
// image than it did when the container was started: then there is no answer.
func (s *source) byConfiguration(ctx context.Context, ref name.Reference, q Question) (Resolved, error) {
	doc, err := s.manifest(ctx, ref.Identifier())
	if err != nil {
		return Resolved{}, err
	}
	if !doc.mediaType.IsIndex() {
		img, err := s.image(ctx, doc)
		if err != nil {
			return Resolved{}, err
		}
		if !img.is(q.Reported) {
			return Resolved{}, notTheTags(q.Reported, "the configuration "+img.manifest.Config.Digest.String())
		}
		return resolvedOf(doc, img), nil
	}
	all, err := s.entries(ctx, doc)
	if err != nil {
		return Resolved{}, err
	}
	// The machine's own platform is the likeliest, but a machine may run others.
	seen := map[string]bool{}
	for _, e := range append(fits(all, q.platform()), all...) {
		if e.noImage() || e.digest.Algorithm != "sha256" || seen[e.digest.Hex] {
			continue
		}
		if len(seen) == comparedAtMost {
			return Resolved{}, faultf(unsupported, "its index has more than %d images to compare with the runtime's", comparedAtMost)
		}
		seen[e.digest.Hex] = true
		found, err := s.entryIs(ctx, e, q.Reported)
		if err != nil || found != nil {
			return valueOf(found), err
		}
	}
	return Resolved{}, notTheTags(q.Reported, "an index without an image of that configuration")
}

func valueOf(r *Resolved) Resolved {
	if r == nil {
		return Resolved{}
	}
	return *r
}

// entryIs is the image of an index's entry, if it is the one with a configuration; nil otherwise.
func (s *source) entryIs(ctx context.Context, e entry, configuration model.Digest) (*Resolved, error) {
	doc, err := s.manifest(ctx, e.digest.String())
	if err != nil {
		return nil, err
	}
	parsed, err := doc.parse()
	if err != nil || model.Digest(parsed.Config.Digest.String()) != configuration {
		return nil, nil //nolint:nilerr,nilnil // What is no image cannot be the one that runs.
	}
	img, err := s.image(ctx, doc)
	if err != nil {
		return nil, err
	}
	found := resolvedOf(doc, img)
	return &found, nil
}

// notTheTags is the failure of an image that the runtime still has and the registry does not offer any longer.
func notTheTags(runs model.Digest, have string) error {
	return faultf(otherImage, "the runtime's image is not the tag's: it is %s, and the tag has %s", runs, have)
}
