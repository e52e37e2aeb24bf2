// Command image puts the programs into the container image that the manifests name, for each architecture that it finds.
//
// Idea: the image is made from scratch: two static programs, the certificates of public authorities, one user without rights,
// and the folders that the programs write to. Nothing of the machine enters it and no time does, so the same programs give the
// same digest. No network and no container engine is needed.
//
// Outputs, below -out:
//
//	oci/                      an OCI layout with one index of all architectures: skopeo and crane push it
//	perceptor-ARCHITECTURE.tar  an archive for "docker load"
//	digest                    the digest of the index
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// options are the command line.
type options struct {
	programs string // a folder with one folder for each architecture, in which the programs are
	licence  string // the file with the licence
	out      string
	name     string // the name and tag in the archives, and in the layout
	revision string
}

func main() {
	var o options
	flag.StringVar(&o.programs, "programs", "", "`FOLDER` with the folders amd64 and arm64, in which the programs are")
	flag.StringVar(&o.licence, "licence", "LICENSE", "`FILE` with the licence")
	flag.StringVar(&o.out, "out", "", "`FOLDER` for the images")
	flag.StringVar(&o.name, "name", "registry.example/perceptor:0.1.0", "`NAME` and tag of the image")
	flag.StringVar(&o.revision, "revision", "", "`REVISION` of the source, for the label")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// run makes the image of every architecture, and their index.
func run(o options) error {
	if o.programs == "" || o.out == "" {
		return errors.New("-programs and -out are needed")
	}
	tag, err := name.NewTag(o.name)
	if err != nil {
		return fmt.Errorf("read -name: %w", err)
	}
	architectures, err := os.ReadDir(o.programs)
	if err != nil {
		return fmt.Errorf("list programs: %w", err)
	}
	if len(architectures) == 0 {
		return fmt.Errorf("%s holds no programs", o.programs)
	}
	slices.SortFunc(architectures, func(a, b os.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	index := mutate.IndexMediaType(v1.ImageIndex(empty.Index), types.OCIImageIndex)
	for _, architecture := range architectures {
		made, err := assemble(o, tag, architecture.Name())
		if err != nil {
			return fmt.Errorf("make image for %s: %w", architecture.Name(), err)
		}
		archive := filepath.Join(o.out, "perceptor-"+architecture.Name()+".tar")
		if err := tarball.WriteToFile(archive, tag, made); err != nil {
			return fmt.Errorf("write %s: %w", archive, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: made, Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: "linux", Architecture: architecture.Name()},
		}})
	}
	return store(o, tag, index)
}

// store writes the layout, and the digest beside it.
func store(o options, tag name.Tag, index v1.ImageIndex) error {
	folder := filepath.Join(o.out, "oci")
	if err := os.RemoveAll(folder); err != nil {
		return fmt.Errorf("remove the last layout: %w", err)
	}
	path, err := layout.Write(folder, empty.Index)
	if err != nil {
		return fmt.Errorf("write layout: %w", err)
	}
	// Tools find an image of a layout by this annotation.
	reference := layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": tag.TagStr()})
	if err := path.AppendIndex(index, reference); err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	digest, err := index.Digest()
	if err != nil {
		return fmt.Errorf("compute digest: %w", err)
	}
	fmt.Println(tag.Context().Digest(digest.String()))
	return os.WriteFile(filepath.Join(o.out, "digest"), []byte(digest.String()+"\n"), 0o644) //nolint:gosec // a digest is public
}

// assemble makes the image of one architecture: the certificates in a layer that seldom changes, and the programs.
func assemble(o options, tag name.Tag, architecture string) (v1.Image, error) {
	base, err := baseLayer(o.licence)
	if err != nil {
		return nil, err
	}
	programs, err := programsLayer(filepath.Join(o.programs, architecture))
	if err != nil {
		return nil, err
	}
	made := mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1)
	made, err = mutate.Append(made,
		mutate.Addendum{Layer: base, MediaType: types.OCILayer, History: v1.History{CreatedBy: "certificates, user and folders"}},
		mutate.Addendum{Layer: programs, MediaType: types.OCILayer, History: v1.History{CreatedBy: "perceptor and perceptor-scan"}})
	if err != nil {
		return nil, fmt.Errorf("append layers: %w", err)
	}
	config, err := made.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", architecture
	config.Config = v1.Config{
		Entrypoint: []string{"/usr/bin/perceptor"},
		Env:        []string{"PATH=/usr/bin", "HOME=" + home},
		User:       fmt.Sprintf("%d:%d", user, user),
		WorkingDir: home,
		Labels: map[string]string{
			"org.opencontainers.image.title":    "perceptor",
			"org.opencontainers.image.version":  tag.TagStr(),
			"org.opencontainers.image.licenses": "Apache-2.0",
			"org.opencontainers.image.revision": o.revision,
		},
	}
	return mutate.ConfigFile(made, config)
}
