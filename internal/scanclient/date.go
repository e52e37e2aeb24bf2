package scanclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/perceptor/perceptor/internal/scanclient/protocol"
)

// propertyDataAsOf is the property of a document's metadata that says of when the scanner's data are. The built-in hub reads it.
const propertyDataAsOf = "perceptor:scanner:data-as-of"

// DataDate is where the date of a scanner's data stands, as RFC 3339 or a date alone: in a file, or in the output of a command.
// With a key, the file or the output is JSON.
type DataDate struct {
	File    string
	Command []string
	// Key is the way to the date in JSON, with dots between the keys, such as "VulnerabilityDB.UpdatedAt".
	Key string
}

func (d DataDate) isZero() bool { return d.File == "" && len(d.Command) == 0 && d.Key == "" }

func (d DataDate) prepare() (DataDate, error) {
	if d.isZero() {
		return d, nil
	}
	if (d.File == "") == (len(d.Command) == 0) {
		return d, setupError("the date of the scanner's data stands either in a file or in the output of a command; configure one of them", nil)
	}
	if d.File != "" {
		if !filepath.IsAbs(d.File) {
			return d, setupError(fmt.Sprintf("the file %q with the date of the scanner's data is not an absolute path", d.File), nil)
		}
		return d, nil
	}
	found, err := exec.LookPath(d.Command[0])
	if err != nil {
		return d, setupError(fmt.Sprintf("the program %q for the date of the scanner's data is missing or may not be executed", d.Command[0]), err)
	}
	d.Command = append([]string{found}, d.Command[1:]...)
	return d, nil
}

const (
	// maxDateText is how much of a file or an output is read, in bytes.
	maxDateText = 1 << 20
	// dateTimeout is how long the command may take. It only reads a file.
	dateTimeout = time.Minute
)

// dataDate reads the date. Without it the scan does not begin: its answer could never be green, and the cause would be hidden.
func (r *Runner) dataDate(ctx context.Context, t task, d DataDate) (time.Time, error) {
	text, err := r.dateText(ctx, t, d)
	if err != nil {
		return time.Time{}, err
	}
	at, err := parseDate(text, d.Key)
	if err != nil {
		return time.Time{}, t.failed(endedWithoutDate(err), true, "")
	}
	return at, nil
}

func (r *Runner) dateText(ctx context.Context, t task, d DataDate) ([]byte, error) {
	if d.File != "" {
		text, err := readBounded(d.File)
		if err != nil {
			return nil, t.failed(endedWithoutDate(err), true, "")
		}
		return text, nil
	}
	var output bytes.Buffer
	t.timeout = min(t.timeout, dateTimeout)
	ended, err := r.execute(ctx, t, d.Command, func(out io.Reader, stop func(ending)) {
		if n, _ := io.Copy(&output, io.LimitReader(out, maxDateText+1)); n > maxDateText {
			stop(endedWithoutDate(errors.New("the command says too much")))
			drain(io.Discard, out)
		}
	})
	if err != nil {
		return nil, err
	}
	if why := diedOf(ended.stopped, ended.state, ended.log.lastWords()); why != nil {
		return nil, t.failed(endedWithoutDate(fmt.Errorf("the command %s", why.reason)), true, ended.log.String())
	}
	return output.Bytes(), nil
}

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path) // #nosec G304 -- the path is the operator's own configuration
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxDateText+1))
	if err == nil && len(text) > maxDateText {
		err = fmt.Errorf("%s has more than %s", path, size(maxDateText))
	}
	return text, err
}

// parseDate reads a date as RFC 3339 or a date alone.
func parseDate(text []byte, key string) (time.Time, error) {
	date := strings.TrimSpace(string(text))
	if key != "" {
		found, err := valueAt(text, key)
		if err != nil {
			return time.Time{}, err
		}
		date = found
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		// A date before 1970 is a zero value, written by a program that does not know it.
		if at, err := time.Parse(form, date); err == nil && at.Year() >= 1970 {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%.40q is not a date as RFC 3339 writes it", date)
}

// valueAt is the text under a key with dots in a JSON object.
func valueAt(text []byte, key string) (string, error) {
	raw := json.RawMessage(text)
	for part := range strings.SplitSeq(key, ".") {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(raw, &object); err != nil {
			return "", fmt.Errorf("there is no JSON object with the key %s: %w", part, err)
		}
		value, has := object[part]
		if !has {
			return "", fmt.Errorf("the key %s is missing", part)
		}
		raw = value
	}
	var date string
	if err := json.Unmarshal(raw, &date); err != nil {
		return "", fmt.Errorf("the value of %s is no text: %w", key, err)
	}
	return date, nil
}

// insertDate writes the SBOM again with the date in its metadata.
func (s *checkedSBOM) insertDate(path string, asOf time.Time) error {
	property, err := json.Marshal(map[string]string{"name": propertyDataAsOf, "value": asOf.Format(time.RFC3339)})
	if err != nil {
		return endedBadSBOM(err)
	}
	from, err := os.Open(path) // #nosec G304 -- the path is of our own workspace
	if err != nil {
		return endedScratchDir(err)
	}
	defer func() { _ = from.Close() }()
	partial := protocol.PartialSBOM(path)
	to, err := os.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // #nosec G304 -- the same
	if err != nil {
		return endedScratchDir(err)
	}
	inserted := s.before + string(property) + s.after
	_, err = io.Copy(to, io.MultiReader(io.LimitReader(from, s.at), strings.NewReader(inserted), from))
	if err = errors.Join(err, to.Close()); err == nil {
		err = os.Rename(partial, path)
	}
	if err != nil {
		return endedScratchDir(err)
	}
	s.bytes += int64(len(inserted))
	return nil
}
