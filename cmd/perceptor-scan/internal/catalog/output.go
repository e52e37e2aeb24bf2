package catalog

import (
	"bufio"
	"errors"
	"fmt"
	"os"

	"github.com/anchore/syft/syft/format/cyclonedxjson"
	"github.com/anchore/syft/syft/sbom"

	"github.com/perceptor/perceptor/internal/scanclient/protocol"
)

// cycloneDXVersion is the newest version that all hubs here read.
const cycloneDXVersion = "1.6"

// write writes the SBOM beside its name and renames it, so that under its name it is whole or not there at all. It
// tells the SBOM's size.
func write(bom *sbom.SBOM, output string) (bytes int64, err error) {
	encoder, err := cyclonedxjson.NewFormatEncoderWithConfig(cyclonedxjson.EncoderConfig{Version: cycloneDXVersion})
	if err != nil {
		return 0, fmt.Errorf("write SBOM: %w", err)
	}
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
	err = errors.Join(encoder.Encode(buffered, *bom), buffered.Flush(), file.Sync())
	info, statErr := file.Stat()
	if err = errors.Join(err, statErr, file.Close()); err != nil {
		return 0, fmt.Errorf("write SBOM: %w", err)
	}
	if err = os.Rename(partial, output); err != nil {
		return 0, fmt.Errorf("name SBOM: %w", err)
	}
	return info.Size(), nil
}
