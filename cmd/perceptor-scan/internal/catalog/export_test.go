package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/anchore/stereoscope/pkg/file"
	stereoscope "github.com/anchore/stereoscope/pkg/image"
	"github.com/anchore/syft/syft"
	"github.com/anchore/syft/syft/cataloging"
	"github.com/anchore/syft/syft/sbom"

	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/archive"
	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/layers"
)

// WholeImage is the SBOM by Syft's own way of reading an image, with all catalogers that it chooses by itself: without index,
// kept layers, marks of programs and remembered runs. Files are repaired as ever.
func WholeImage(ctx context.Context, req Request) (bom []byte, catalogers []string, err error) {
	tar, err := archive.Open(req.Tar, req.Quota, func(int64, int64) {})
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = tar.Close() }()
	content, err := tar.Image()
	if err != nil {
		return nil, nil, err
	}
	temporary := file.NewTempDirGenerator("whole")
	unpacked, err := temporary.NewDirectory("layers")
	if err != nil {
		return nil, nil, err
	}
	img := stereoscope.New(content, temporary, unpacked)
	defer func() { _ = img.Cleanup() }()
	if err := img.Read(ctx); err != nil {
		return nil, nil, err
	}
	prepared, err := licences()
	if err != nil {
		return nil, nil, err
	}
	config := configuration(req).WithCatalogerSelection(cataloging.NewSelectionRequest().WithAdditions("conda-meta-cataloger"))
	image := &layers.Image{Image: img}
	src := repairedSource{Source: describe(image, req), image: image, notes: newNotes()}
	found, err := syft.CreateSBOM(prepared, src, config)
	if err != nil {
		return nil, nil, err
	}
	files, err := src.FileResolver(config.Search.Scope)
	if err != nil {
		return nil, nil, err
	}
	unread, err := findUnread(found, files, image, src.notes)
	if err != nil {
		return nil, nil, err
	}
	output := req.SBOM + ".whole"
	if _, err := write(found, unread, output); err != nil {
		return nil, nil, err
	}
	raw, err := os.ReadFile(output)
	return raw, used(found), err
}

// used are the catalogers of packages that Syft has chosen.
func used(bom *sbom.SBOM) []string {
	raw, _ := json.Marshal(bom.Descriptor.Configuration)
	var configuration struct {
		Catalogers struct{ Used []string } `json:"catalogers"`
	}
	if err := json.Unmarshal(raw, &configuration); err != nil {
		panic(fmt.Sprintf("Syft's configuration has another form: %s", err))
	}
	return slices.DeleteFunc(configuration.Catalogers.Used, func(name string) bool { return strings.HasPrefix(name, "file-") })
}

// Catalogers are the names of ours.
func Catalogers() []string {
	var names []string
	for _, each := range catalogers() {
		names = append(names, each.Name())
	}
	return names
}

// Ran are the catalogers that have run, because no earlier run was good enough.
func (c *Cataloger) Ran() []string { return slices.Sorted(maps.Keys(c.memos.ran)) }

// StartCounting forgets which catalogers have run.
func (c *Cataloger) StartCounting() { clear(c.memos.ran) }
