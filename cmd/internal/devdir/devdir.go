// Package devdir reads the data directory of a running perceptor-dev: where everything listens, and how its built-in hub
// is reached. It is how the commands work without configuration on a laptop.
package devdir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/perceptor/perceptor/internal/config"
)

// ErrNotRunning says that no perceptor-dev uses the directory.
var ErrNotRunning = errors.New("perceptor-dev is not running with this data directory")

// HubName and HubLimit are the name of the built-in hub, and how many scans it gets at a time by default.
const (
	HubName  = "builtin"
	HubLimit = 2
)

// APITokens is the file of the tokens that open the API: one for each scope.
const APITokens = "api-tokens.json"

// Addresses is what perceptor-dev writes when everything is ready.
type Addresses struct {
	Temporal string `json:"temporal"`
	UI       string `json:"ui"`
	Hub      string `json:"hub"`
	Registry string `json:"registry"`
	API      string `json:"api"`
}

// Default is the data directory that perceptor-dev uses by default.
func Default() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the user's cache directory: %w", err)
	}
	return filepath.Join(cache, "perceptor", "dev"), nil
}

// Read reads the addresses; ErrNotRunning when there are none.
func Read(directory string) (Addresses, error) {
	var a Addresses
	text, err := os.ReadFile(filepath.Join(directory, "addresses.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return a, fmt.Errorf("%s: %w", directory, ErrNotRunning)
	}
	if err != nil {
		return a, fmt.Errorf("read addresses: %w", err)
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, fmt.Errorf("read addresses in %s: %w", directory, err)
	}
	return a, nil
}

// Hub is the configuration of the built-in hub at that address.
func Hub(directory, address string) config.Hub {
	return config.Hub{
		Name: HubName, URL: "https://" + address, Limit: HubLimit,
		TokenFile: filepath.Join(directory, "hub-token"), CAFile: filepath.Join(directory, "hub-ca.pem"),
	}
}
