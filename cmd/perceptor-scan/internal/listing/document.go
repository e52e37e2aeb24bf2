package listing

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

// write writes the document beside its name and renames it, so that under its name it is whole or not there at all. It
// tells the document's size.
func write(bom *sbom.SBOM, document string) (bytes int64, err error) {
	encoder, err := cyclonedxjson.NewFormatEncoderWithConfig(cyclonedxjson.EncoderConfig{Version: cycloneDXVersion})
	if err != nil {
		return 0, fmt.Errorf("write document: %w", err)
	}
	partial := protocol.PartialDocument(document)
	file, err := os.OpenFile(partial, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, fmt.Errorf("write document: %w", err)
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
		return 0, fmt.Errorf("write document: %w", err)
	}
	if err = os.Rename(partial, document); err != nil {
		return 0, fmt.Errorf("name document: %w", err)
	}
	return info.Size(), nil
}
