package judge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/CycloneDX/cyclonedx-go"
)

// specVersions are the versions of CycloneDX this hub reads.
var specVersions = []cyclonedx.SpecVersion{cyclonedx.SpecVersion1_4, cyclonedx.SpecVersion1_5, cyclonedx.SpecVersion1_6, cyclonedx.SpecVersion1_7}

// Parse reads a CycloneDX document in JSON. The error says what is wrong with it.
func Parse(raw []byte) (Contents, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return Contents{}, errors.New("it is empty")
	}
	var head struct {
		Format  string `json:"bomFormat"`
		Version string `json:"specVersion"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return Contents{}, fmt.Errorf("it is not a CycloneDX document in JSON: %w", err)
	}
	if head.Format != cyclonedx.BOMFormat {
		return Contents{}, fmt.Errorf("bomFormat is %.40q: only %s is read", head.Format, cyclonedx.BOMFormat)
	}
	if !slices.ContainsFunc(specVersions, func(v cyclonedx.SpecVersion) bool { return v.String() == head.Version }) {
		return Contents{}, fmt.Errorf("specVersion %.40q is not one of %v", head.Version, specVersions)
	}
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(raw), cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		return Contents{}, fmt.Errorf("it is not valid CycloneDX: %w", err)
	}
	return Read(&bom)
}
