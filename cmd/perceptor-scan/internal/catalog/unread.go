package catalog

import (
	"fmt"
	"log/slog"
	"path"
	"strings"

	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/sbom"

	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/layers"
	"github.com/perceptor/perceptor/internal/scanclient/protocol"
	"github.com/perceptor/perceptor/model"
)

// databases are the catalogers that read the system's own list of packages, and where such lists stand.
var databases = map[string][]string{
	"dpkg-db-cataloger": {"**/lib/dpkg/status", statusPattern, "**/lib/opkg/status"},
	"rpm-db-cataloger":  {"**/rpm/Packages", "**/rpm/Packages.db", "**/rpm/rpmdb.sqlite"},
	"apk-db-cataloger":  {"**/lib/apk/db/installed"},
	"alpm-db-cataloger": {"**/var/lib/pacman/local/**/desc"},
	"portage-cataloger": {"**/var/db/pkg/*/*/CONTENTS"},
}

// nothingFound is what Syft says of a database it read to its end without finding a package: an empty one, or none at all.
const nothingFound = "unable to determine packages"

// releaseFiles name the distribution, in the order in which they are believed.
var releaseFiles = []string{"/etc/os-release", "/usr/lib/os-release", "/etc/redhat-release", "/etc/system-release-cpe"}

// findUnread gathers what could not be read, by path. It fails where all packages of the system are missing because their
// list could not be read: such an image would be shown as clean by hubs that do not ask what was unread.
func findUnread(bom *sbom.SBOM, files file.Resolver, image *layers.Image, noted *notes) (map[string]string, error) {
	archives := &jars{files: files, known: map[string]*jarParts{}}
	archives.dropResources(bom)
	found, described := map[string]bool{}, map[string]bool{}
	for p := range bom.Artifacts.Packages.Enumerate() {
		found[p.FoundBy] = true
		for _, location := range p.Locations.ToSlice() {
			described[location.FullNestedPath()] = true
		}
	}
	unread := map[string]string{}
	for where, reasons := range bom.Artifacts.Unknowns {
		for _, reason := range reasons {
			cataloger, said, _ := strings.Cut(reason, ": ")
			if !tellsOfPackages(cataloger, said, where.FullNestedPath(), described[where.FullNestedPath()]) ||
				said == nothingNamed && archives.isOnlyResources(where.FullNestedPath()) {
				slog.Info("nothing found in a file", "path", where.FullNestedPath(), "reason", reason)
				continue
			}
			if databases[cataloger] != nil && !found[cataloger] {
				return nil, lost(where.FullNestedPath(), said)
			}
			unread[where.FullNestedPath()] = said
		}
	}
	for where, reason := range noted.unread {
		if isDpkgList(where) && !found["dpkg-db-cataloger"] {
			return nil, lost(where, reason)
		}
		unread[where] = reason
	}
	archives.findBrokenInner(bom, unread)
	if err := findSilent(files, described, unread); err != nil {
		return nil, err
	}
	if err := findBrokenLocks(files, unread); err != nil {
		return nil, err
	}
	if err := findShortLists(files, unread); err != nil {
		return nil, err
	}
	if err := checkSystem(bom, files, found, noted, unread); err != nil {
		return nil, err
	}
	if err := findCutOff(files, image, described, unread); err != nil {
		return nil, err
	}
	for where, reason := range unread {
		slog.Warn("a file could not be read", "path", where, "reason", reason)
	}
	return unread, nil
}

// isDpkgList reports whether a file is a list of the system's packages. All other noted files describe packages of a language.
func isDpkgList(where string) bool {
	return strings.Contains(where, "/lib/dpkg/status") || strings.HasSuffix(where, "/lib/opkg/status")
}

// descriptions are files that each describe one installed package, so that one of which nothing is listed was not understood.
var descriptions = []string{
	"**/*.dist-info/METADATA", "**/*.egg-info/PKG-INFO", "**/conda-meta/*.json", "**/library/*/DESCRIPTION", "**/site-library/*/DESCRIPTION",
}

// findSilent notes descriptions of packages that gave none.
func findSilent(files file.Resolver, described map[string]bool, unread map[string]string) error {
	locations, err := files.FilesByGlob(descriptions...)
	if err != nil {
		return fmt.Errorf("look for descriptions of packages: %w", err)
	}
	for _, location := range locations {
		where := location.RealPath
		if !described[where] && unread[where] == "" && !isExample(where) {
			unread[where] = "it describes a package, and no package was found in it"
		}
	}
	return nil
}

// isExample reports whether a file belongs to the tests of something.
func isExample(where string) bool {
	for part := range strings.SplitSeq(where, "/") {
		if part == "test" || part == "tests" || part == "testdata" || part == "testing" {
			return true
		}
	}
	return false
}

func lost(where, reason string) error {
	return protocol.Failure{
		Class:   model.Invalid,
		Message: fmt.Sprintf("the list of installed packages at %s in the image cannot be read, so what it holds is not known: %s", where, reason),
	}
}

// javaArchives is the cataloger of files that hold many packages, besides the databases.
const javaArchives = "java-archive-cataloger"

// tellsOfPackages reports whether what Syft did not understand may be packages that are missing now. Each of several
// catalogers looks into each program, so one of them may fail at a program that another has described.
func tellsOfPackages(cataloger, said, where string, described bool) bool {
	switch {
	case said == nothingFound:
		return false
	case path.Base(where) == "package.json":
		return false // its own reader has noted what is wrong with it
	case strings.Contains(where, "/go/src/") && strings.Contains(where, "/testdata/"):
		return false // the Go distribution's own broken examples
	case described:
		return databases[cataloger] != nil || cataloger == javaArchives
	}
	return true
}

// checkSystem notes what contradicts itself: lists of packages that yield nothing, and a distribution without a package.
func checkSystem(bom *sbom.SBOM, files file.Resolver, found map[string]bool, noted *notes, unread map[string]string) error {
	for cataloger := range databases {
		if found[cataloger] {
			return nil
		}
	}
	for _, patterns := range databases {
		locations, err := files.FilesByGlob(patterns...)
		if err != nil {
			return fmt.Errorf("look for lists of packages: %w", err)
		}
		for _, location := range locations {
			where := location.RealPath
			if _, known := unread[where]; !known && !noted.removed[where] && !besideEntry(where) {
				unread[where] = "it is a list of installed packages, and no package was found in it"
			}
		}
	}
	release := bom.Artifacts.LinuxDistribution
	if release == nil || release.ID == "" {
		return nil
	}
	named, err := files.FilesByPath(releaseFiles...)
	if err != nil {
		return fmt.Errorf("look for the distribution's name: %w", err)
	}
	if len(named) > 0 {
		name := strings.TrimSpace(release.ID + " " + release.VersionID)
		unread[named[0].RealPath] = fmt.Sprintf("it names the distribution %s, and no package of a distribution was found", name)
	}
	return nil
}

// programs are the types of files in which a compiler may have noted what it put in.
var programs = []string{"application/x-executable", "application/x-elf", "application/x-sharedlib"}

// findCutOff notes programs that end before their own end. Compilers note the parts of a program in its later half, and
// Syft takes a program without this note for one that has none.
func findCutOff(files file.Resolver, image *layers.Image, described map[string]bool, unread map[string]string) error {
	locations, err := files.FilesByMIMEType(programs...)
	if err != nil {
		return fmt.Errorf("look for programs: %w", err)
	}
	for _, location := range locations {
		if !described[location.RealPath] && image.Traits(location.Reference()).Has(layers.CutOff) {
			unread[location.RealPath] = "it is a program that is cut off, so what it was built from is not known"
		}
	}
	return nil
}
