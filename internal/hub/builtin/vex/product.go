package vex

import (
	"errors"
	"fmt"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
	"github.com/perceptor/perceptor/model"
)

// product is what a statement is about: an image, or a package.
type product struct {
	image judge.ImageProduct
	// pkg is a package URL; empty when an image as a whole is meant.
	pkg string
}

func (p product) isImage() bool { return p.pkg == "" }

// The types of package URLs that name images.
const (
	typeOCI    = "oci"
	typeDocker = "docker"
)

// parseProduct reads a package URL.
func parseProduct(text string) (product, error) {
	if !strings.HasPrefix(text, "pkg:") {
		return product{}, fmt.Errorf("product %.120q is no package URL", text)
	}
	p, err := packageurl.FromString(text)
	if err != nil {
		return product{}, fmt.Errorf("product %.120q: %w", text, err)
	}
	if p.Type != typeOCI && p.Type != typeDocker {
		return product{pkg: text}, nil
	}
	image, err := imageOf(p)
	if err != nil {
		return product{}, fmt.Errorf("product %.120q: %w", text, err)
	}
	return product{image: image}, nil
}

// imageOf reads the package URL of an image. What cannot be compared with a scanned image is an error: to pass it over
// would except more than was meant.
func imageOf(p packageurl.PackageURL) (judge.ImageProduct, error) {
	image := judge.ImageProduct{Name: strings.ToLower(p.Name)}
	if p.Namespace != "" {
		image.Name = strings.ToLower(p.Namespace) + "/" + image.Name
	}
	if p.Version != "" {
		digest, err := model.ParseDigest(p.Version)
		if err != nil {
			return image, fmt.Errorf("an image is known by its digest, and %.80q is none", p.Version)
		}
		image.Digest = digest
	}
	for key, value := range p.Qualifiers.Map() {
		switch {
		case key == "repository_url":
			image.Repository = strings.ToLower(strings.Trim(strings.TrimPrefix(strings.TrimPrefix(value, "https://"), "oci://"), "/"))
		case image.Digest != "":
			// The digest says more than a tag or an architecture can.
		default:
			return image, fmt.Errorf("%.40q without a digest cannot be compared with an image", key)
		}
	}
	return image, nil
}

// errNested says why a package within a package is not understood.
var errNested = errors.New("a package within another package is not distinguished from the same package elsewhere: name the image (pkg:oci/...), or the package alone")

// within is a package within an image.
func within(outer product, inner string) (product, error) {
	if !outer.isImage() {
		return product{}, errNested
	}
	p, err := parseProduct(inner)
	if err != nil {
		return product{}, err
	}
	if p.isImage() {
		return product{}, fmt.Errorf("product %.120q is an image within an image", inner)
	}
	p.image = outer.image
	return p, nil
}
