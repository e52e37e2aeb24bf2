package catalog

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/anchore/syft/syft/format/common/cyclonedxhelpers"
	"github.com/anchore/syft/syft/sbom"

	"github.com/perceptor/perceptor/internal/scanclient/protocol"
)

// cycloneDXVersion is the newest version that all hubs here read.
const cycloneDXVersion = cyclonedx.SpecVersion1_6

// propertyUnread marks a file that lists packages and could not be read; its value is the reason.
const propertyUnread = "perceptor:unread"

// document is the SBOM as CycloneDX, with each file that could not be read as a component.
func document(bom *sbom.SBOM, unread map[string]string) *cyclonedx.BOM {
	document := cyclonedxhelpers.ToFormatModel(*bom)
	if document.Components == nil {
		document.Components = &[]cyclonedx.Component{}
	}
	for _, path := range slices.Sorted(maps.Keys(unread)) {
		*document.Components = append(*document.Components, cyclonedx.Component{
			BOMRef: "unread:" + path, Type: cyclonedx.ComponentTypeFile, Name: path,
			Properties: &[]cyclonedx.Property{{Name: propertyUnread, Value: unread[path]}},
		})
	}
	return document
}

// write writes the SBOM beside its name and renames it, so that under its name it is whole or not there at all. It
// answers with the SBOM's size.
func write(bom *sbom.SBOM, unread map[string]string, output string) (bytes int64, err error) {
	partial := protocol.PartialSBOM(output)
	file, err := os.OpenFile(partial, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, fmt.Errorf("write SBOM: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(partial))
		}
	}()
	buffered := bufio.NewWriterSize(file, 1<<20)
	encoder := cyclonedx.NewBOMEncoder(buffered, cyclonedx.BOMFileFormatJSON).SetEscapeHTML(false)
	err = errors.Join(encoder.EncodeVersion(document(bom, unread), cycloneDXVersion), buffered.Flush(), file.Sync())
	info, statErr := file.Stat()
	if err = errors.Join(err, statErr, file.Close()); err != nil {
		return 0, fmt.Errorf("write SBOM: %w", err)
	}
	if err = os.Rename(partial, output); err != nil {
		return 0, fmt.Errorf("name SBOM: %w", err)
	}
	return info.Size(), nil
}
