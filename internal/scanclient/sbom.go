package scanclient

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// maxSBOM is the largest SBOM taken, in bytes. The largest image lists known give some tens of megabytes.
const maxSBOM = 512 << 20

// checkSBOM makes sure that path is a regular file with a CycloneDX SBOM in JSON, and tells its size. It reads
// the SBOM as a stream.
func checkSBOM(path string) (int64, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, endedNoSBOM(path)
	}
	if err != nil {
		return 0, endedBadSBOM(err)
	}
	if !info.Mode().IsRegular() {
		return 0, endedBadSBOM(errors.New("it is no regular file"))
	}
	if info.Size() > maxSBOM {
		return 0, endedLargeSBOM(maxSBOM)
	}
	file, err := os.Open(path)
	if err != nil {
		return 0, endedBadSBOM(err)
	}
	defer func() { _ = file.Close() }()
	if err := checkCycloneDX(bufio.NewReaderSize(file, 1<<20)); err != nil {
		return 0, endedBadSBOM(err)
	}
	return info.Size(), nil
}

// checkCycloneDX reads one JSON object to its end and looks at its own keys: the format's name and its version, and
// that components, where given, are a list.
func checkCycloneDX(r io.Reader) error {
	decoder := json.NewDecoder(r)
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return fmt.Errorf("want a JSON object, got %s", tokenText(token, err))
	}
	named, versioned := false, false
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return notJSON(err)
		}
		value, err := decoder.Token()
		if err != nil {
			return notJSON(err)
		}
		switch key {
		case "bomFormat":
			named = value == "CycloneDX"
		case "specVersion":
			_, versioned = value.(string)
		case "components":
			if value != json.Delim('[') {
				return errors.New("its components are no list")
			}
		}
		if err := skipRest(decoder, value); err != nil {
			return err
		}
	}
	if _, err := decoder.Token(); err != nil {
		return notJSON(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	if !named || !versioned {
		return errors.New(`want bomFormat "CycloneDX" and a specVersion`)
	}
	return nil
}

// skipRest reads what belongs to a value whose first token was read.
func skipRest(decoder *json.Decoder, first json.Token) error {
	depth := depthChange(first)
	for depth > 0 {
		token, err := decoder.Token()
		if err != nil {
			return notJSON(err)
		}
		depth += depthChange(token)
	}
	return nil
}

func depthChange(token json.Token) int {
	switch token {
	case json.Delim('{'), json.Delim('['):
		return 1
	case json.Delim('}'), json.Delim(']'):
		return -1
	}
	return 0
}

func notJSON(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("its JSON ends in the middle")
	}
	return fmt.Errorf("its JSON is malformed: %w", err)
}

func tokenText(token json.Token, err error) string {
	if errors.Is(err, io.EOF) {
		return "an empty file"
	}
	if err != nil {
		return "something that is not JSON"
	}
	return fmt.Sprintf("%.40q", fmt.Sprint(token))
}
