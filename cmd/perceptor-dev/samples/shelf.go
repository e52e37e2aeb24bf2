package samples

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

const (
	// inputsAnnotation on a pushed sample tells what it was made of, so that the
	// registry itself remembers and nothing is packed twice.
	inputsAnnotation = "io.github.perceptor.sample.inputs"
	// packing changes whenever the same inputs would be packed differently.
	packing = "1"
)

// fingerprint is a digest over the content and the names of files.
func fingerprint(files ...string) (string, error) {
	all := sha256.New()
	_, _ = fmt.Fprintln(all, "packing", packing)
	for _, path := range files {
		file, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("read sample input: %w", err)
		}
		one := sha256.New()
		_, err = io.Copy(one, file)
		if err = errors.Join(err, file.Close()); err != nil {
			return "", fmt.Errorf("read sample input: %w", err)
		}
		_, _ = fmt.Fprintf(all, "%s %x\n", filepath.Base(path), one.Sum(nil))
	}
	return hex.EncodeToString(all.Sum(nil)), nil
}

// shelf is the place of one sample in the registry.
type shelf struct {
	tag    name.Tag
	inputs string
}

func newShelf(registry, sample, inputs string) (shelf, error) {
	tag, err := name.NewTag(registry+"/"+sample, name.StrictValidation)
	if err != nil {
		return shelf{}, fmt.Errorf("name sample: %w", err)
	}
	return shelf{tag: tag, inputs: inputs}, nil
}

func (s shelf) reference() string { return s.tag.Name() }

// holds tells whether the registry has this sample, made of these inputs.
func (s shelf) holds(ctx context.Context) (bool, error) {
	there, err := remote.Get(s.tag, remote.WithContext(ctx))
	var refused *transport.Error
	if errors.As(err, &refused) && refused.StatusCode == http.StatusNotFound {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for %s: %w", s.tag, err)
	}
	var manifest struct {
		Annotations map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(there.Manifest, &manifest); err != nil {
		return false, fmt.Errorf("read manifest of %s: %w", s.tag, err)
	}
	return manifest.Annotations[inputsAnnotation] == s.inputs, nil
}

func (s shelf) putImage(ctx context.Context, image v1.Image) error {
	marked, ok := mutate.Annotations(image, map[string]string{inputsAnnotation: s.inputs}).(v1.Image)
	if !ok {
		return fmt.Errorf("annotate %s: not an image any more", s.tag)
	}
	if err := remote.Write(s.tag, marked, remote.WithContext(ctx)); err != nil {
		return fmt.Errorf("push %s: %w", s.tag, err)
	}
	return nil
}

func (s shelf) putIndex(ctx context.Context, index v1.ImageIndex) error {
	marked, ok := mutate.Annotations(index, map[string]string{inputsAnnotation: s.inputs}).(v1.ImageIndex)
	if !ok {
		return fmt.Errorf("annotate %s: not an index any more", s.tag)
	}
	if err := remote.WriteIndex(s.tag, marked, remote.WithContext(ctx)); err != nil {
		return fmt.Errorf("push %s: %w", s.tag, err)
	}
	return nil
}
