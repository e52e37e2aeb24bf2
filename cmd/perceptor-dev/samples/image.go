package samples

import (
	"compress/gzip"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// birth is the date on everything in a sample, fixed so that digests are.
var birth = time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC)

// architectures are those on which a sample may say that it runs.
var architectures = map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64", elf.EM_S390: "s390x", elf.EM_PPC64: "ppc64le", elf.EM_RISCV: "riscv64"}

// foreignProgramError says that a program cannot be in a Linux image.
type foreignProgramError struct{ program, why string }

func (e *foreignProgramError) Error() string { return fmt.Sprintf("%s %s", e.program, e.why) }

// platformOf reads for which platform a program was built from the program itself.
func platformOf(program string) (v1.Platform, error) {
	file, err := elf.Open(program)
	if err != nil {
		return v1.Platform{}, &foreignProgramError{program: program, why: "is not a Linux program"}
	}
	machine := file.Machine
	if err := file.Close(); err != nil {
		return v1.Platform{}, fmt.Errorf("read %s: %w", program, err)
	}
	architecture, known := architectures[machine]
	if !known {
		return v1.Platform{}, &foreignProgramError{program: program, why: "is built for a machine that this program does not know: " + machine.String()}
	}
	return v1.Platform{OS: "linux", Architecture: architecture}, nil
}

// programImage is the base that samples share and one program on top.
func programImage(program string) (v1.Image, error) {
	platform, err := platformOf(program)
	if err != nil {
		return nil, err
	}
	base, err := pack(baseFiles)
	if err != nil {
		return nil, err
	}
	inside := "/usr/local/bin/" + filepath.Base(program)
	top, err := pack([]entry{
		{path: "usr/local/", mode: 0o755},
		{path: "usr/local/bin/", mode: 0o755},
		{path: inside[1:], mode: 0o755, from: program},
	})
	if err != nil {
		return nil, err
	}
	return assemble(platform, v1.Config{Entrypoint: []string{inside}, User: "65534:65534"}, base, top)
}

func programIndex(programs []string) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, program := range programs {
		image, err := programImage(program)
		if err != nil {
			return nil, err
		}
		platform, err := platformOf(program)
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &platform}})
	}
	return index, nil
}

// assemble makes an OCI image of layers, lowest first.
func assemble(platform v1.Platform, config v1.Config, layers ...v1.Layer) (v1.Image, error) {
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, layer := range layers {
		var err error
		image, err = mutate.Append(image, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: birth}, CreatedBy: "perceptor-dev"}})
		if err != nil {
			return nil, fmt.Errorf("add layer to sample: %w", err)
		}
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("read config of sample: %w", err)
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = platform.OS, platform.Architecture
	file.Created, file.Config = v1.Time{Time: birth}, config
	if image, err = mutate.ConfigFile(image, file); err != nil {
		return nil, fmt.Errorf("set config of sample: %w", err)
	}
	return image, nil
}

// layerOf makes a layer of the tar that open gives. The tar is read several
// times, its compressed form is kept in memory until it was pushed.
func layerOf(open tarball.Opener) (v1.Layer, error) {
	layer, err := tarball.LayerFromOpener(open,
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.BestSpeed), tarball.WithCompressedCaching)
	if err != nil {
		return nil, fmt.Errorf("pack layer of sample: %w", err)
	}
	return layer, nil
}

// fileLayer is a layer of a tar on disk.
func fileLayer(path string) (v1.Layer, error) {
	return layerOf(func() (io.ReadCloser, error) { return os.Open(path) })
}
