package catalog

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/sbom"

	"github.com/perceptor/perceptor/internal/scanclient/protocol"
	"github.com/perceptor/perceptor/model"
)

// databases are the catalogers that read the system's own list of packages.
var databases = map[string]bool{
	"dpkg-db-cataloger": true, "rpm-db-cataloger": true, "apk-db-cataloger": true, "alpm-db-cataloger": true, "portage-cataloger": true,
}

// nothingFound is what Syft says of a database it read to its end without finding a package: an empty one, or none at all.
const nothingFound = "unable to determine packages"

// checkDatabases fails an SBOM that lacks all packages of the system because their list could not be read: such an
// image would be shown as clean. A single bad entry among good ones, and files of other kinds, are only logged.
func checkDatabases(bom *sbom.SBOM, files file.Resolver) error {
	found := map[string]bool{}
	for p := range bom.Artifacts.Packages.Enumerate() {
		found[p.FoundBy] = true
	}
	for where, reasons := range bom.Artifacts.Unknowns {
		slog.Warn("not understood", "path", where.RealPath, "reasons", reasons)
		for _, reason := range reasons {
			cataloger, said, _ := strings.Cut(reason, ": ")
			if !databases[cataloger] || found[cataloger] || said == nothingFound && !foreign(files, where.RealPath) {
				continue
			}
			return protocol.Failure{
				Class:   model.Invalid,
				Message: fmt.Sprintf("the list of installed packages at %s in the image cannot be read, so what it holds is not known: %s", where.RealPath, said),
			}
		}
	}
	return nil
}

// entryStart begins each entry of a dpkg status file, the one text database in which Syft passes over what it does not
// understand.
const entryStart = "Package:"

// foreign reports whether a dpkg status file holds something, but not one entry. The other kinds of databases fail with
// a reason of their own when they hold something else.
func foreign(files file.Resolver, path string) bool {
	if !strings.HasSuffix(path, "/status") {
		return false
	}
	locations, err := files.FilesByPath(path)
	if err != nil || len(locations) == 0 {
		return false
	}
	content, err := files.FileContentsByLocation(locations[0])
	if err != nil {
		return false
	}
	defer func() { _ = content.Close() }()
	return onlyForeignLines(content)
}

func onlyForeignLines(content io.Reader) bool {
	lines := bufio.NewScanner(content)
	something := false
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, entryStart) {
			return false
		}
		something = something || strings.TrimSpace(line) != ""
	}
	// A line longer than any entry's is no entry either.
	return something || lines.Err() != nil
}
