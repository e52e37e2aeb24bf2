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
	"github.com/perceptor/perceptor/internal/hub/builtin/store"
)

// contents is what a document says is in an image.
type contents struct {
	subject    string
	components []store.Component
}

// specVersions are the versions of CycloneDX this hub reads.
var specVersions = []cyclonedx.SpecVersion{cyclonedx.SpecVersion1_4, cyclonedx.SpecVersion1_5, cyclonedx.SpecVersion1_6}

// parseDocument reads a CycloneDX document in JSON. Components that are files or the operating system itself are
// left out: they are no packages. The same package found at several places is one component.
func parseDocument(raw []byte) (*contents, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, errors.New("it is empty")
	}
	var head struct {
		Format  string                `json:"bomFormat"`
		Version cyclonedx.SpecVersion `json:"specVersion"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return nil, fmt.Errorf("it is not a CycloneDX document in JSON: %w", err)
	}
	if head.Format != cyclonedx.BOMFormat {
		return nil, fmt.Errorf("bomFormat is %.40q: only %s is read", head.Format, cyclonedx.BOMFormat)
	}
	if !slices.Contains(specVersions, head.Version) {
		return nil, fmt.Errorf("specVersion is not one of %v", specVersions)
	}
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(raw), cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		return nil, fmt.Errorf("it is not valid CycloneDX: %w", err)
	}
	found := &contents{}
	if bom.Metadata != nil && bom.Metadata.Component != nil {
		found.subject = bom.Metadata.Component.Name
	}
	seen := map[string]bool{}
	if err := found.collect(bom.Components, seen); err != nil {
		return nil, err
	}
	slices.SortFunc(found.components, func(a, b store.Component) int {
		return strings.Compare(a.Name+"\x00"+a.Version+"\x00"+a.PURL, b.Name+"\x00"+b.Version+"\x00"+b.PURL)
	})
	return found, nil
}

func (c *contents) collect(list *[]cyclonedx.Component, seen map[string]bool) error {
	if list == nil {
		return nil
	}
	for _, each := range *list {
		if err := c.collect(each.Components, seen); err != nil {
			return err
		}
		if each.Type == cyclonedx.ComponentTypeFile || each.Type == cyclonedx.ComponentTypeOS {
			continue
		}
		if each.Name == "" {
			return fmt.Errorf("component %.80q has no name", each.BOMRef)
		}
		one := store.Component{Name: each.Name, Version: each.Version, PURL: each.PackageURL}
		if each.Group != "" {
			one.Name = each.Group + "/" + each.Name
		}
		if !seen[one.Key()] {
			seen[one.Key()] = true
			c.components = append(c.components, one)
		}
	}
	return nil
}

// scanName is the code location of a document whose sender gave none.
func (c *contents) scanName(project, version string) string {
	name := c.subject
	if name == "" {
		name = project + "/" + version
	}
	const kind = " cyclonedx/sbom"
	name = strings.NewReplacer(" ", "-", "\x00", "").Replace(name)
	return strings.ToValidUTF8(name[:min(len(name), jobs.MaxName-len(kind))], "") + kind
}
