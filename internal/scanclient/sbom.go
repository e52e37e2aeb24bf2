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

// checkedSBOM is what was seen of an SBOM in one pass.
type checkedSBOM struct {
	bytes int64
	// components counts those of the document itself, without the ones nested in them.
	components int
	// dated says that it has the date of its scanner's data.
	dated bool
	// at is where a property of its metadata can be inserted, with this text before and after the property.
	at            int64
	before, after string
}

// checkSBOM makes sure that path is a regular file with a CycloneDX SBOM in JSON. It reads the SBOM as a stream.
func checkSBOM(path string) (checkedSBOM, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return checkedSBOM{}, endedNoSBOM(path)
	}
	if err != nil {
		return checkedSBOM{}, endedBadSBOM(err)
	}
	if !info.Mode().IsRegular() {
		return checkedSBOM{}, endedBadSBOM(errors.New("it is no regular file"))
	}
	if info.Size() > maxSBOM {
		return checkedSBOM{}, endedLargeSBOM(maxSBOM)
	}
	file, err := os.Open(path)
	if err != nil {
		return checkedSBOM{}, endedBadSBOM(err)
	}
	defer func() { _ = file.Close() }()
	found, err := checkCycloneDX(bufio.NewReaderSize(file, 1<<20))
	if err != nil {
		return checkedSBOM{}, endedBadSBOM(err)
	}
	found.bytes = info.Size()
	return found, nil
}

// checkCycloneDX reads one JSON object to its end and looks at its own keys: the format's name and its version, that
// components, where given, are a list, and where properties stand.
func checkCycloneDX(r io.Reader) (checkedSBOM, error) {
	s := sbomReader{decoder: json.NewDecoder(r)}
	if token, err := s.decoder.Token(); err != nil || token != json.Delim('{') {
		return checkedSBOM{}, fmt.Errorf("want a JSON object, got %s", tokenText(token, err))
	}
	s.insert(`"metadata":{"properties":[`, `]}`)
	named, versioned := false, false
	err := s.members(func(key, value json.Token) (err error) {
		switch key {
		case "bomFormat":
			named = value == "CycloneDX"
		case "specVersion":
			_, versioned = value.(string)
		case "components":
			if value != json.Delim('[') {
				return errors.New("its components are no list")
			}
			return s.elements(func(value json.Token) error {
				s.found.components++
				return s.skip(value)
			})
		case "metadata":
			return s.metadata(value)
		case "properties":
			return s.properties(value)
		}
		return s.skip(value)
	})
	if err != nil {
		return checkedSBOM{}, err
	}
	if _, err := s.decoder.Token(); !errors.Is(err, io.EOF) {
		return checkedSBOM{}, errors.New("something follows the JSON object")
	}
	if !named || !versioned {
		return checkedSBOM{}, errors.New(`want bomFormat "CycloneDX" and a specVersion`)
	}
	return s.found, nil
}

// sbomReader walks through a document.
type sbomReader struct {
	decoder *json.Decoder
	found   checkedSBOM
}

// insert notes that a property can stand here, after the beginning of an object or a list.
func (s *sbomReader) insert(before, after string) {
	if s.decoder.More() {
		after += ","
	}
	s.found.at, s.found.before, s.found.after = s.decoder.InputOffset(), before, after
}

// members reads the members of an object that has begun, and its end.
func (s *sbomReader) members(each func(key, value json.Token) error) error {
	return s.elements(func(key json.Token) error {
		value, err := s.decoder.Token()
		if err != nil {
			return notJSON(err)
		}
		return each(key, value)
	})
}

// elements reads the elements of a list that has begun, and its end.
func (s *sbomReader) elements(each func(value json.Token) error) error {
	for s.decoder.More() {
		value, err := s.decoder.Token()
		if err != nil {
			return notJSON(err)
		}
		if err := each(value); err != nil {
			return err
		}
	}
	if _, err := s.decoder.Token(); err != nil {
		return notJSON(err)
	}
	return nil
}

func (s *sbomReader) metadata(first json.Token) error {
	if first != json.Delim('{') {
		return s.skip(first)
	}
	s.insert(`"properties":[`, `]`)
	return s.members(func(key, value json.Token) error {
		if key != "properties" {
			return s.skip(value)
		}
		if value == json.Delim('[') {
			s.insert("", "")
		}
		return s.properties(value)
	})
}

// properties looks for the date of the scanner's data.
func (s *sbomReader) properties(first json.Token) error {
	if first != json.Delim('[') {
		return s.skip(first)
	}
	return s.elements(func(value json.Token) error {
		if value != json.Delim('{') {
			return s.skip(value)
		}
		return s.members(func(key, value json.Token) error {
			s.found.dated = s.found.dated || key == "name" && value == propertyDataAsOf
			return s.skip(value)
		})
	})
}

// skip reads what belongs to a value whose first token was read.
func (s *sbomReader) skip(first json.Token) error {
	depth := depthChange(first)
	for depth > 0 {
		token, err := s.decoder.Token()
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
