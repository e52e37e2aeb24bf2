package main

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
)

// recordLength bounds one record; the largest of OSV's have some hundred KiB.
const recordLength = 16 << 20

// readRecords reads OSV's records of Go by the module they are about.
func readRecords(directory string) (map[osv.Key][]osv.Record, error) {
	if directory == "" {
		return nil, errors.New("no records given, so nothing is known of vulnerabilities: set OSV_DIR")
	}
	archive, err := zip.OpenReader(filepath.Join(directory, "Go", "all.zip"))
	if err != nil {
		return nil, fmt.Errorf("open the records of Go: %w", err)
	}
	defer archive.Close() //nolint:errcheck // only read
	by := map[osv.Key][]osv.Record{}
	for _, file := range archive.File {
		if !strings.HasSuffix(file.Name, ".json") {
			continue
		}
		record, err := readRecord(file)
		if err != nil {
			return nil, fmt.Errorf("record %s: %w", file.Name, err)
		}
		for _, key := range osv.KeysOf(record) {
			by[key] = append(by[key], record)
		}
	}
	if len(by) == 0 {
		return nil, fmt.Errorf("there is no record in %s", directory)
	}
	return by, nil
}

func readRecord(file *zip.File) (osv.Record, error) {
	reader, err := file.Open()
	if err != nil {
		return osv.Record{}, err
	}
	defer reader.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(reader, recordLength))
	if err != nil {
		return osv.Record{}, err
	}
	return osv.Parse(text)
}

// finding is one vulnerability of one module.
type finding struct {
	mod
	osv.Finding
}

func (f finding) String() string {
	fix := "no fix is known"
	if f.Fixed != "" {
		fix = "fixed in " + f.Fixed
	}
	return fmt.Sprintf("%s %s: %s (%s), %s, in %s", f.path, f.version, f.ID, f.Severity, fix, strings.Join(f.programs, ", "))
}

// vulnerabilities compares modules with records. A module that cannot be compared is an error, since nothing is known of it.
func vulnerabilities(modules []mod, records map[osv.Key][]osv.Record) ([]finding, error) {
	var found []finding
	var wrong []error
	for _, m := range modules {
		key, known, err := osv.KeyOf(m.purl())
		if err != nil || !known {
			wrong = append(wrong, fmt.Errorf("module %s %s cannot be looked up: %w", m.path, m.version, errors.Join(err, errNoKey)))
			continue
		}
		hits, err := osv.Match(m.purl(), records[key])
		if err != nil {
			wrong = append(wrong, fmt.Errorf("module %s %s: %w", m.path, m.version, err))
		}
		for _, hit := range hits {
			found = append(found, finding{m, hit})
		}
	}
	return found, errors.Join(wrong...)
}

var errNoKey = errors.New("it has no name under which records are filed")
