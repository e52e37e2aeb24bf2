package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"

	"github.com/perceptor/perceptor/internal/hub/builtin/jobs"
	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
)

// specVersions are the versions of CycloneDX this hub reads.
var specVersions = []cyclonedx.SpecVersion{cyclonedx.SpecVersion1_4, cyclonedx.SpecVersion1_5, cyclonedx.SpecVersion1_6}

// parseDocument reads a CycloneDX document in JSON.
func parseDocument(raw []byte) (judge.Contents, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return judge.Contents{}, errors.New("it is empty")
	}
	var head struct {
		Format  string                `json:"bomFormat"`
		Version cyclonedx.SpecVersion `json:"specVersion"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return judge.Contents{}, fmt.Errorf("it is not a CycloneDX document in JSON: %w", err)
	}
	if head.Format != cyclonedx.BOMFormat {
		return judge.Contents{}, fmt.Errorf("bomFormat is %.40q: only %s is read", head.Format, cyclonedx.BOMFormat)
	}
	if !slices.Contains(specVersions, head.Version) {
		return judge.Contents{}, fmt.Errorf("specVersion is not one of %v", specVersions)
	}
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(raw), cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		return judge.Contents{}, fmt.Errorf("it is not valid CycloneDX: %w", err)
	}
	return judge.Read(&bom)
}

// scanName is the code location of a document whose sender gave none.
func scanNameOf(c judge.Contents, project, version string) string {
	name := c.Subject
	if name == "" {
		name = project + "/" + version
	}
	const kind = " cyclonedx/sbom"
	name = strings.NewReplacer(" ", "-", "\x00", "").Replace(name)
	return strings.ToValidUTF8(name[:min(len(name), jobs.MaxName-len(kind))], "") + kind
}
