package samples

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Options say what the samples are made of and where they go.
type Options struct {
	Registry string // HOST:PORT of the registry, plain HTTP
	Programs string // directory of perceptor and perceptor-scan
	Samples  string // directory of vulnerable, patched and vulnerable-arm64
	Cache    string // directory for what is slow to make
	// Say gets a line for people now and then: what takes long, what is left out and why.
	Say func(line string)
}

// recipe names a sample and what goes into it.
type recipe struct {
	name     string   // repository and tag
	programs []string // one image for each; several make an index of platforms
}

func (o Options) recipes() []recipe {
	return []recipe{
		{name: "samples/vulnerable:1", programs: []string{filepath.Join(o.Samples, "vulnerable")}},
		{name: "samples/patched:1", programs: []string{filepath.Join(o.Samples, "patched")}},
		{name: "samples/perceptor:dev", programs: []string{filepath.Join(o.Programs, "perceptor"), filepath.Join(o.Samples, "vulnerable-arm64")}},
		{name: "samples/scanner:dev", programs: []string{filepath.Join(o.Programs, "perceptor-scan")}},
	}
}

// MissingError says that a program which belongs into a sample was not built.
type MissingError struct{ Program string }

// Error names the program and the ways out.
func (e *MissingError) Error() string {
	return fmt.Sprintf("samples need %s, which is not there; build it with 'make build', "+
		"name the directory of the sample programs with --sample-binaries, or leave the samples out with --no-samples", e.Program)
}

// Publish makes every sample that the registry does not have yet, pushes it and
// gives the references of all, in a fixed order. What this machine cannot make
// is left out with a line to Say; a program that was not built is a *MissingError.
func Publish(ctx context.Context, options Options) ([]string, error) {
	for _, recipe := range options.recipes() {
		for _, program := range recipe.programs {
			if _, err := os.Stat(program); err != nil {
				return nil, &MissingError{Program: program}
			}
		}
	}
	references := make([]string, 0, len(options.recipes())+1)
	for _, recipe := range options.recipes() {
		reference, err := publishPrograms(ctx, options.Registry, recipe)
		if foreign, ok := errors.AsType[*foreignProgramError](err); ok {
			options.Say(fmt.Sprintf("%s is left out: %v", recipe.name, foreign))
			continue
		}
		if err != nil {
			return nil, err
		}
		references = append(references, reference)
	}
	reference, err := publishDebian(ctx, options)
	if err != nil {
		return nil, err
	}
	if reference != "" {
		references = append(references, reference)
	}
	return references, nil
}

func publishPrograms(ctx context.Context, registry string, recipe recipe) (string, error) {
	inputs, err := fingerprint(recipe.programs...)
	if err != nil {
		return "", err
	}
	shelf, err := newShelf(registry, recipe.name, inputs)
	if err != nil {
		return "", err
	}
	there, err := shelf.holds(ctx)
	if err != nil || there {
		return shelf.reference(), err
	}
	if len(recipe.programs) == 1 {
		image, err := programImage(recipe.programs[0])
		if err != nil {
			return "", err
		}
		return shelf.reference(), shelf.putImage(ctx, image)
	}
	index, err := programIndex(recipe.programs)
	if err != nil {
		return "", err
	}
	return shelf.reference(), shelf.putIndex(ctx, index)
}
