package catalog

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/anchore/syft/syft/file"
)

// locks are files in which a package manager has written, as JSON, what an application needs. In an image they count less than
// what is installed, but one that cannot be read says that something is wrong with the application.
var locks = []string{"**/package-lock.json", "**/npm-shrinkwrap.json", "**/composer.lock", "**/Pipfile.lock", "**/conan.lock"}

// findBrokenLocks notes the applications' own lists that are no JSON objects. Those of installed packages are not looked at.
func findBrokenLocks(files file.Resolver, unread map[string]string) error {
	found, err := files.FilesByGlob(locks...)
	if err != nil {
		return fmt.Errorf("look for lists of what applications need: %w", err)
	}
	for _, location := range found {
		where := location.RealPath
		if unread[where] != "" || isExample(where) || strings.Contains(where, "/node_modules/") || strings.Contains(where, "/vendor/") {
			continue
		}
		raw, err := readWhole(files, location)
		if err != nil {
			return err
		}
		text, _ := toUTF8(raw)
		var fields map[string]json.RawMessage
		switch err := json.Unmarshal(text, &fields); {
		case len(raw) > maxRepaired:
			unread[where] = fmt.Sprintf("it has more than %d bytes", maxRepaired)
		case err != nil:
			unread[where] = "it is no JSON object: " + err.Error()
		}
	}
	return nil
}

// readWhole reads a file, and at most one byte more than maxRepaired.
func readWhole(files file.Resolver, location file.Location) ([]byte, error) {
	content, err := files.FileContentsByLocation(location)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", location.RealPath, err)
	}
	defer func() { _ = content.Close() }()
	raw, err := io.ReadAll(io.LimitReader(content, maxRepaired+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", location.RealPath, err)
	}
	return raw, nil
}
