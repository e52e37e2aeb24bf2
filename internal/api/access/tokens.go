package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/perceptor/perceptor/internal/reload"
)

// shortestToken is below what generators of tokens make, and above what can be guessed by sending requests.
const shortestToken = 16

// clusterForm keeps names of clusters fit for workflow IDs, paths and labels.
var clusterForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// othersRead are the bits of a file's mode that let every user read or change it.
const othersRead = 0o007

// entry is one token in memory: its sum, never the token itself.
type entry struct {
	sum   [sha256.Size]byte
	grant Grant
}

// Tokens are the tokens that are valid now. It is safe for concurrent use.
type Tokens struct {
	current *reload.Files[[]entry]
}

// OpenTokens reads a file of tokens, and reads it again when it has changed. When the changed file cannot be read, this is
// logged and the tokens stay as they were.
func OpenTokens(path string, log *slog.Logger) (*Tokens, error) {
	current, err := reload.Watch([]string{path}, func() ([]entry, error) { return readTokens(path) }, log)
	if err != nil {
		return nil, err
	}
	return &Tokens{current: current}, nil
}

// Find returns what the holder of a token may do. It compares every token in constant time.
func (t *Tokens) Find(token string) (Grant, bool) {
	sum := sha256.Sum256([]byte(token))
	var found Grant
	var is bool
	for _, each := range t.current.Get() {
		if subtle.ConstantTimeCompare(sum[:], each.sum[:]) == 1 {
			found, is = each.grant, true
		}
	}
	return found, is
}

func readTokens(path string) ([]entry, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read tokens: %w", err)
	}
	if info.Mode().Perm()&othersRead != 0 {
		return nil, fmt.Errorf("read tokens: %s can be read by every user (mode %04o); chmod 600 it", path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read tokens: %w", err)
	}
	entries, err := parseTokens(text)
	if err != nil {
		return nil, fmt.Errorf("tokens in %s: %w", path, err)
	}
	return entries, nil
}

// written is one token in the file.
type written struct {
	Name    string `yaml:"name"`
	Scope   string `yaml:"scope"`
	Cluster string `yaml:"cluster"`
	// Token is the token itself. SHA256 is its SHA-256 sum in hexadecimal instead: then a thief of the file has no token.
	Token  string `yaml:"token"`
	SHA256 string `yaml:"sha256"`
}

// parseTokens reads YAML or JSON: a list of tokens under "tokens", or, for an installation whose only cluster is called "default", a token
// for each scope; then reader and operator are not limited to it. No error holds a token.
func parseTokens(text []byte) ([]entry, error) {
	var file struct {
		Tokens []written         `yaml:"tokens"`
		Scopes map[string]string `yaml:",inline"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		// The error of the decoder may quote the file.
		return nil, errors.New(`not the form of a list under "tokens", each with scope, cluster and token or sha256`)
	}
	for scope, token := range file.Scopes {
		made := written{Scope: scope, Token: token}
		if scope != string(Perceiver) {
			made.Cluster = EveryCluster // an installation with one cluster: its reader and operator have everything
		}
		file.Tokens = append(file.Tokens, made)
	}
	if len(file.Tokens) == 0 {
		return nil, errors.New("there is none, so that no client could use the API")
	}
	entries := make([]entry, len(file.Tokens))
	for i, each := range file.Tokens {
		var err error
		if entries[i], err = each.entry(); err != nil {
			return nil, fmt.Errorf("token %d %.60q: %w", i+1, each.Name, err)
		}
	}
	return entries, refuseTwins(entries)
}

func (w written) entry() (entry, error) {
	scope, err := ParseScope(w.Scope)
	if err != nil {
		return entry{}, err
	}
	e := entry{grant: Grant{Name: w.Name, Scope: scope, Cluster: w.Cluster}}
	if e.grant.Name == "" {
		e.grant.Name = w.Scope
	}
	switch {
	case scope == Scanner && w.Cluster != EveryCluster:
		return entry{}, errors.New(`a scanner works for every cluster; write cluster: "*"`)
	case w.Cluster == "":
		e.grant.Cluster = DefaultCluster
	case w.Cluster == EveryCluster && scope == Perceiver:
		return entry{}, errors.New("a perceiver reports for one cluster; name it")
	case w.Cluster != EveryCluster:
		if !clusterForm.MatchString(w.Cluster) {
			return entry{}, fmt.Errorf("cluster %.80q: want up to 63 letters, digits, dots, dashes and underscores, a letter or digit first", w.Cluster)
		}
	}
	switch {
	case (w.Token == "") == (w.SHA256 == ""):
		return entry{}, errors.New("give either token or sha256")
	case w.Token != "" && len(w.Token) < shortestToken:
		return entry{}, fmt.Errorf("the token has %d characters; want at least %d, random ones", len(w.Token), shortestToken)
	case w.Token != "":
		e.sum = sha256.Sum256([]byte(w.Token))
	default:
		sum, err := hex.DecodeString(strings.TrimSpace(w.SHA256))
		if err != nil || len(sum) != sha256.Size {
			return entry{}, fmt.Errorf("sha256: want %d hexadecimal digits", 2*sha256.Size)
		}
		copy(e.sum[:], sum)
	}
	return e, nil
}

// refuseTwins refuses a token that has two entries.
func refuseTwins(entries []entry) error {
	for i, each := range entries {
		if slices.ContainsFunc(entries[:i], func(earlier entry) bool { return earlier.sum == each.sum }) {
			return fmt.Errorf("token %d %.60q is there twice; each needs a value of its own", i+1, each.grant.Name)
		}
	}
	return nil
}
