package catalog

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path"
	"slices"
	"strings"

	"github.com/anchore/syft/syft/artifact"
	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/pkg"
	"github.com/anchore/syft/syft/sbom"
)

// What is looked at of a Java archive. Beyond it, nothing is known of the archive, so it stays unread.
const (
	maxJarEntries = 200_000
	maxInnerJar   = 64 << 20
	maxJarDepth   = 4
)

// nothingNamed is what Syft says of a Java archive in which nothing says what it is.
const nothingNamed = "no package identified in archive"

// withoutVersion is what Syft writes where it found none.
const withoutVersion = "UNKNOWN"

// jarParts is what an archive holds, as far as it matters whether a package is missing.
type jarParts struct {
	// code says that there are classes or libraries, named that a manifest or Maven's own file says what it is.
	code, named bool
	inner       map[string]*jarParts
}

func (j *jarParts) hasCode() bool {
	if j.code {
		return true
	}
	for _, inner := range j.inner {
		if inner.hasCode() {
			return true
		}
	}
	return false
}

// hasUnnamedCode reports whether it or an archive in it has code and does not say what it is.
func (j *jarParts) hasUnnamedCode() bool {
	if j.code && !j.named {
		return true
	}
	for _, inner := range j.inner {
		if inner.hasUnnamedCode() {
			return true
		}
	}
	return false
}

func readJar(content io.ReaderAt, size int64, depth int) (*jarParts, error) {
	archive, err := zip.NewReader(content, size)
	if err != nil {
		return nil, err
	}
	if depth > maxJarDepth || len(archive.File) > maxJarEntries {
		return nil, fmt.Errorf("more than %d archives in each other, or than %d files", maxJarDepth, maxJarEntries)
	}
	parts := &jarParts{inner: map[string]*jarParts{}}
	for _, entry := range archive.File {
		switch name := strings.ToLower(entry.Name); path.Ext(name) {
		case ".class", ".dex", ".so", ".dll", ".dylib", ".jnilib":
			parts.code = true
		case ".jar", ".war", ".ear", ".par", ".sar", ".nar", ".jpi", ".hpi", ".lpkg", ".kar", ".zip":
			if parts.inner[entry.Name], err = readInner(entry, depth+1); err != nil {
				return nil, fmt.Errorf("%s: %w", entry.Name, err)
			}
		default:
			parts.named = parts.named || name == "meta-inf/manifest.mf" || path.Base(name) == "pom.properties"
		}
	}
	return parts, nil
}

func readInner(entry *zip.File, depth int) (*jarParts, error) {
	content, size, err := openInner(entry)
	if err != nil {
		return nil, err
	}
	return readJar(content, size, depth)
}

// openInner is an archive in an archive. One that is not compressed is read where it stands.
func openInner(entry *zip.File) (io.ReaderAt, int64, error) {
	if entry.Method == zip.Store && entry.UncompressedSize64 <= maxInnerJar {
		if raw, err := entry.OpenRaw(); err == nil {
			if at, is := raw.(*io.SectionReader); is {
				return at, at.Size(), nil
			}
		}
	}
	content, err := entry.Open()
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = content.Close() }()
	raw, err := io.ReadAll(io.LimitReader(content, maxInnerJar+1))
	if err != nil {
		return nil, 0, err
	}
	if len(raw) > maxInnerJar {
		return nil, 0, fmt.Errorf("more than %d bytes", maxInnerJar)
	}
	return bytes.NewReader(raw), int64(len(raw)), nil
}

// jars looks into the Java archives of an image, each once.
type jars struct {
	files file.Resolver
	known map[string]*jarParts
}

// at is what the archive at a path holds; nil where that is not known.
func (j *jars) at(where string) *jarParts {
	parts, known := j.known[where]
	if !known {
		var err error
		if parts, err = j.read(where); err != nil {
			slog.Info("a Java archive could not be looked into", "path", where, "error", err)
		}
		j.known[where] = parts
	}
	return parts
}

func (j *jars) read(where string) (*jarParts, error) {
	content, size, err := j.open(where)
	if err != nil {
		return nil, err
	}
	defer func() { _ = content.Close() }()
	return readJar(content, size, 1)
}

// randomAccess is what a zip file is read from.
type randomAccess interface {
	io.ReaderAt
	io.Closer
}

func (j *jars) open(where string) (randomAccess, int64, error) {
	locations, err := j.files.FilesByPath(where)
	if err != nil || len(locations) == 0 {
		return nil, 0, errors.Join(err, errors.New("it is not found"))
	}
	metadata, err := j.files.FileMetadataByLocation(locations[0])
	if err != nil {
		return nil, 0, err
	}
	content, err := j.files.FileContentsByLocation(locations[0])
	if err != nil {
		return nil, 0, err
	}
	at, is := content.(randomAccess)
	if !is {
		return nil, 0, errors.Join(errors.New("it can only be read from its beginning"), content.Close())
	}
	return at, metadata.Size(), nil
}

// findBrokenInner notes archives in archives that hold code, or cannot be read, and of which nothing is listed.
func (j *jars) findBrokenInner(bom *sbom.SBOM, unread map[string]string) {
	listed := map[string]map[string]bool{}
	for p := range bom.Artifacts.Packages.Enumerate() {
		archive, is := p.Metadata.(pkg.JavaArchive)
		if !is {
			continue
		}
		steps := strings.Split(archive.VirtualPath, ":")
		if listed[steps[0]] == nil {
			listed[steps[0]] = map[string]bool{}
		}
		// An archive of which something in it is listed was looked into.
		for at := range steps[1:] {
			listed[steps[0]][innerPath(steps[1:at+2]...)] = true
		}
	}
	for outer, inner := range listed {
		if reason := j.brokenInner(outer, inner); reason != "" && unread[outer] == "" {
			unread[outer] = reason
		}
	}
}

// innerPath is where an archive stands in others.
func innerPath(steps ...string) string {
	for at := range steps {
		steps[at] = strings.TrimPrefix(steps[at], "/")
	}
	return strings.Join(steps, ":")
}

// brokenInner says what is not listed of an archive's archives; empty when nothing is missing.
func (j *jars) brokenInner(outer string, listed map[string]bool) string {
	content, size, err := j.open(outer)
	if err != nil {
		return "" // Syft has listed it, so it is no archive that can be looked into again
	}
	defer func() { _ = content.Close() }()
	return missingInner(content, size, listed)
}

// missingInner looks into an archive, and into those in it that are listed.
func missingInner(content io.ReaderAt, size int64, listed map[string]bool, above ...string) string {
	archive, err := zip.NewReader(content, size)
	if err != nil {
		return ""
	}
	for _, entry := range archive.File {
		if ext := strings.ToLower(path.Ext(entry.Name)); ext != ".jar" && ext != ".war" && ext != ".ear" {
			continue
		}
		where := append(slices.Clone(above), entry.Name)
		reason := ""
		if listed[innerPath(slices.Clone(where)...)] {
			reason = missingInListed(entry, listed, where)
		} else {
			reason = unlistedInner(entry, where)
		}
		if reason != "" {
			return reason
		}
	}
	return ""
}

func missingInListed(entry *zip.File, listed map[string]bool, where []string) string {
	if len(where) > maxJarDepth {
		return fmt.Sprintf("%.200s in it has more than %d archives in each other", strings.Join(where, ": "), maxJarDepth)
	}
	inner, size, err := openInner(entry)
	if err != nil {
		return fmt.Sprintf("%.200s in it cannot be read: %s", strings.Join(where, ": "), err)
	}
	return missingInner(inner, size, listed, where...)
}

func unlistedInner(entry *zip.File, where []string) string {
	parts, err := readInner(entry, len(where))
	switch {
	case err != nil:
		return fmt.Sprintf("%.200s in it cannot be read: %s", strings.Join(where, ": "), err)
	case parts.hasUnnamedCode():
		return fmt.Sprintf("%.200s in it does not say what it is", strings.Join(where, ": "))
	}
	return ""
}

// dropResources removes the packages that are Java archives of resources alone: without a version, and without any code. They
// are pictures and texts, and no vulnerability database knows them.
func (j *jars) dropResources(bom *sbom.SBOM) {
	var dropped []artifact.ID
	for p := range bom.Artifacts.Packages.Enumerate(pkg.JavaPkg) {
		archive, is := p.Metadata.(pkg.JavaArchive)
		if !is || p.Version != "" && p.Version != withoutVersion {
			continue
		}
		steps := strings.Split(archive.VirtualPath, ":")
		parts := j.at(steps[0])
		for _, step := range steps[1:] {
			if parts != nil {
				parts = parts.inner[strings.TrimPrefix(step, "/")]
			}
		}
		if parts != nil && !parts.hasCode() {
			slog.Info("a Java archive of resources is no package", "path", archive.VirtualPath)
			dropped = append(dropped, p.ID())
		}
	}
	bom.Artifacts.Packages.Delete(dropped...)
	bom.Relationships = slices.DeleteFunc(bom.Relationships, func(r artifact.Relationship) bool {
		return slices.Contains(dropped, r.From.ID()) || slices.Contains(dropped, r.To.ID())
	})
}

// isOnlyResources reports whether all in an archive that does not say what it is, are resources.
func (j *jars) isOnlyResources(where string) bool {
	parts := j.at(where)
	return parts != nil && !parts.hasUnnamedCode()
}
