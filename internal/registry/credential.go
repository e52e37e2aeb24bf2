package registry

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/credentials"
	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/perceptor/perceptor/model"
)

// Credential says where the secrets of a named credential lie. They are read at each pull, so that a rotated file
// counts at once. Give a docker config file, or a password file with a user name.
type Credential struct {
	// Username is the user; when empty, UsernameFile holds it.
	Username     string
	UsernameFile string
	// PasswordFile holds the password or access token; white space around it is dropped.
	PasswordFile string
	// DockerConfig is a docker config file, such as a mounted Kubernetes secret of the kind dockerconfigjson.
	DockerConfig string
	// Binding says for which images it may be used.
	Binding Binding
}

// Permits says why the pods of a namespace may not name a credential for an image; nil when they may. From is "cluster/namespace",
// or a cluster alone; empty means an operator of all clusters. The error is an Error, and does not name the credential.
func (c *Client) Permits(reference, credential, from string) error {
	if credential == "" {
		return nil
	}
	if err := c.permits(reference, credential, from); err != nil {
		return explain(context.Background(), "resolve", reference, credential, err)
	}
	return nil
}

func (c *Client) permits(reference, credential, from string) error {
	ref, _, err := parseReference(reference, c.options.Hosts)
	if err != nil {
		return err
	}
	cluster, _, _ := strings.Cut(from, "/")
	if named, ok := c.options.Credentials[credential]; ok {
		if !named.Binding.serves(cluster) {
			c.log.Warn("credential was not used: it is not bound to this cluster", "credential", credential, "from", from)
			return unbound("cluster")
		}
		return c.checkBinding(named, ref.Context(), credential)
	}
	if c.options.PullSecrets == nil || c.options.MayName == nil {
		return c.unknownCredential(credential)
	}
	if err := c.options.MayName(credential, from); err != nil {
		c.log.Warn("pull secret was not used", "credential", credential, "from", from, "error", err)
		return unbound("namespace")
	}
	return nil
}

// checkBinding refuses a credential for an image that it is not bound to.
func (c *Client) checkBinding(named Credential, repo name.Repository, credential string) error {
	if named.Binding.opens(repo) {
		return nil
	}
	c.log.Warn("credential was not used: it is not bound to this repository", "credential", credential, "repository", repo.Name())
	return unbound("registry and repository")
}

func unbound(what string) error {
	return faultf(badCredential, "the credential that the request names is not bound to this %s; the scanners' configuration says what it is bound to", what)
}

func (c *Client) unknownCredential(credential string) error {
	c.log.Warn("credential was not used: it is not in the configuration", "credential", credential)
	return faultf(badCredential, "this host has no credential of the name that the request gives")
}

// loginsAtMost bounds how many logins are tried at one registry, the one without any among them.
const loginsAtMost = 10

// logins are the logins for a repository, in the order in which they are tried. The last one is that of anyone: the registry
// decides.
func (c *Client) logins(ctx context.Context, repo name.Repository, credential string) ([]authn.Authenticator, error) {
	found, err := c.knownLogins(ctx, repo, credential)
	if err != nil {
		return nil, err
	}
	var logins []authn.Authenticator
	for _, login := range found {
		if login != authn.Anonymous && len(logins) < loginsAtMost-1 {
			logins = append(logins, login)
		}
	}
	return append(logins, authn.Anonymous), nil
}

func (c *Client) knownLogins(ctx context.Context, repo name.Repository, credential string) ([]authn.Authenticator, error) {
	if credential != "" {
		return c.namedLogins(ctx, repo, credential)
	}
	path := c.options.DockerConfig
	if path == "" {
		path = usualDockerConfig()
	}
	if path == "" {
		return nil, nil
	}
	return fromDockerConfig(path, repo, "this host's docker configuration")
}

// usualDockerConfig is the file with the logins of docker or else of podman; empty when there is none.
func usualDockerConfig() string {
	var places []string
	if directory := os.Getenv(config.EnvOverrideConfigDir); directory != "" {
		places = append(places, filepath.Join(directory, config.ConfigFileName))
	} else if home, err := os.UserHomeDir(); err == nil {
		places = append(places, filepath.Join(home, ".docker", config.ConfigFileName))
	}
	places = append(places, os.Getenv("REGISTRY_AUTH_FILE"))
	if runtime := os.Getenv("XDG_RUNTIME_DIR"); runtime != "" {
		places = append(places, filepath.Join(runtime, "containers", "auth.json"))
	}
	if own, err := os.UserConfigDir(); err == nil {
		places = append(places, filepath.Join(own, "containers", "auth.json"))
	}
	for _, place := range places {
		if info, err := os.Stat(place); place != "" && err == nil && !info.IsDir() { //nolint:gosec // the owner of the process says where the file is
			return place
		}
	}
	return ""
}

func (c *Client) namedLogins(ctx context.Context, repo name.Repository, credential string) ([]authn.Authenticator, error) {
	if named, ok := c.options.Credentials[credential]; ok {
		if err := c.checkBinding(named, repo, credential); err != nil {
			return nil, err
		}
		logins, err := named.logins(repo, "the credential that the request names")
		if err != nil {
			c.log.Warn("credential cannot be used", "credential", credential, "error", err)
		}
		return logins, err
	}
	if c.options.PullSecrets == nil {
		return nil, c.unknownCredential(credential)
	}
	texts, err := c.options.PullSecrets(ctx, credential)
	if err == nil {
		return fromPullSecrets(texts, repo)
	}
	c.log.Warn("pull secret could not be read", "credential", credential, "error", err)
	var classed interface{ FailureClass() model.FailureClass }
	if errors.As(err, &classed) && !classed.FailureClass().Temporary() {
		return nil, faultf(badCredential, "the pull secret that the pod names cannot be used")
	}
	return nil, faultf(refused, "the pull secret that the pod names cannot be read at the moment")
}

func (c Credential) logins(repo name.Repository, source string) ([]authn.Authenticator, error) {
	if c.DockerConfig != "" {
		return fromDockerConfig(c.DockerConfig, repo, source)
	}
	username := c.Username
	if username == "" {
		read, err := readSecret(c.UsernameFile)
		if err != nil {
			return nil, unreadable(source, err)
		}
		username = read
	}
	password, err := readSecret(c.PasswordFile)
	if err != nil {
		return nil, unreadable(source, err)
	}
	if username == "" || password == "" {
		return nil, faultf(badCredential, "%s is incomplete: it has no user name or no password", source)
	}
	return []authn.Authenticator{authn.FromConfig(authn.AuthConfig{Username: username, Password: password})}, nil
}

func readSecret(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	secret, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(secret)), nil
}

// fromDockerConfig reads a docker config file, its credential helpers included: what a helper gives comes first.
func fromDockerConfig(path string, repo name.Repository, source string) ([]authn.Authenticator, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, unreadable(source, err)
	}
	defer file.Close() //nolint:errcheck // Only read.
	parsed, err := config.LoadFromReader(file)
	if err != nil {
		return nil, unreadable(source, err)
	}
	var logins []authn.Authenticator
	for _, key := range []string{repo.Name(), repo.RegistryStr()} {
		if key == name.DefaultRegistry {
			key = authn.DefaultAuthKey
		}
		if !mentions(parsed, key) {
			continue
		}
		found, err := parsed.GetAuthConfig(key)
		if err != nil {
			return nil, unreadable(source, err)
		}
		if login := loginOf(found); login != authn.Anonymous {
			logins = append(logins, login)
			break
		}
	}
	var ring keyring
	ring.add(parsed.AuthConfigs)
	for _, login := range ring.logins(repo) {
		if !slices.Contains(configsOf(logins), configsOf([]authn.Authenticator{login})[0]) {
			logins = append(logins, login)
		}
	}
	return logins, nil
}

// configsOf are logins in a form that can be compared.
func configsOf(logins []authn.Authenticator) []authn.AuthConfig {
	configs := make([]authn.AuthConfig, 0, len(logins))
	for _, login := range logins {
		if c, err := login.Authorization(); err == nil {
			configs = append(configs, *c)
		}
	}
	return configs
}

// fromPullSecrets reads the docker configurations of pull secrets as a kubelet does, but one that cannot be read does not
// spoil the others. Programs that they name are not run.
func fromPullSecrets(texts [][]byte, repo name.Repository) ([]authn.Authenticator, error) {
	var ring keyring
	read := 0
	for _, text := range texts {
		if parsed, err := config.LoadFromReader(bytes.NewReader(text)); err == nil {
			ring.add(parsed.AuthConfigs)
			read++
		}
	}
	if len(texts) > 0 && read == 0 {
		// The parser's words may quote what it could not read.
		return nil, faultf(badCredential, "the pull secrets that the pod names are no valid docker configuration")
	}
	return ring.logins(repo), nil
}

// loginOf is a login of a docker configuration.
func loginOf(c types.AuthConfig) authn.Authenticator {
	// The library fills in the address it was asked for, found or not.
	c.ServerAddress = ""
	if c == (types.AuthConfig{}) {
		return authn.Anonymous
	}
	return authn.FromConfig(authn.AuthConfig{
		Username: c.Username, Password: c.Password, Auth: c.Auth, IdentityToken: c.IdentityToken, RegistryToken: c.RegistryToken,
	})
}

// mentions reports whether a docker config has a login, or a helper, for this very host or repository. A helper for all hosts
// (credsStore) is asked only about hosts in the list of logins, where "docker login" puts them: a cloud's helper may have an
// answer for any host.
func mentions(file *configfile.ConfigFile, key string) bool {
	if _, has := file.CredentialHelpers[key]; has {
		return true
	}
	if _, has := file.AuthConfigs[key]; has {
		return true
	}
	for each := range file.AuthConfigs {
		if credentials.ConvertToHostname(each) == credentials.ConvertToHostname(key) && key == credentials.ConvertToHostname(key) {
			return true
		}
	}
	return false
}

// unreadable leaves the parser's words out of the reason: they may quote what they could not read.
func unreadable(source string, err error) error {
	why := "it is not a valid docker config file, or its helper failed"
	switch {
	case os.IsNotExist(err):
		why = "its file does not exist"
	case os.IsPermission(err):
		why = "its file may not be read by this user"
	}
	return faultf(badCredential, "%s cannot be used: %s", source, why)
}

// keyring holds the logins of several docker configurations by the rules of a kubelet: a key names a host, whose parts may be
// patterns, and perhaps the beginning of a path. A key with a longer path comes first, and of one key the earlier secret.
// https://kubernetes.io/docs/concepts/containers/images/#config-json
type keyring struct{ keys []ringKey }

// ringKey is one key of the keyring and its login.
type ringKey struct {
	host, path string
	login      authn.Authenticator
}

// add takes the logins of one docker configuration.
func (k *keyring) add(auths map[string]types.AuthConfig) {
	for _, key := range slices.Sorted(maps.Keys(auths)) {
		if login := loginOf(auths[key]); login != authn.Anonymous {
			host, path := splitKey(key)
			k.keys = append(k.keys, ringKey{host: host, path: path, login: login})
		}
	}
}

// splitKey parts a key of a docker configuration into host and path. The path of the old address of a registry is none.
func splitKey(key string) (host, path string) {
	key = strings.TrimPrefix(strings.TrimPrefix(key, "https://"), "http://")
	host, path, _ = strings.Cut(key, "/")
	for _, version := range []string{"v1", "v2"} {
		if path == version {
			return host, ""
		}
		path = strings.TrimPrefix(path, version+"/")
	}
	return host, strings.TrimSuffix(path, "/")
}

// logins are those for a repository, the most specific key first.
func (k *keyring) logins(repo name.Repository) []authn.Authenticator {
	fitting := slices.DeleteFunc(slices.Clone(k.keys), func(key ringKey) bool { return !key.fits(repo) })
	slices.SortStableFunc(fitting, func(a, b ringKey) int {
		return cmp.Or(cmp.Compare(len(b.path), len(a.path)), cmp.Compare(patterns(a.host), patterns(b.host)))
	})
	var logins []authn.Authenticator
	for _, key := range fitting {
		logins = append(logins, key.login)
	}
	return logins
}

// patterns is how many parts of a host's name are not plain.
func patterns(host string) int {
	return strings.Count(host, "*") + strings.Count(host, "?") + strings.Count(host, "[")
}

// dockerHosts are the names that Docker's own registry has in docker configurations.
var dockerHosts = []string{name.DefaultRegistry, "docker.io", "registry-1.docker.io"}

// fits reports whether a login is meant for a repository. Each part of the host's name must fit by itself, so that a pattern
// never reaches over a dot, and the port must be the same.
func (k ringKey) fits(repo name.Repository) bool {
	hosts := []string{repo.RegistryStr()}
	if repo.RegistryStr() == name.DefaultRegistry {
		hosts = dockerHosts
	}
	return strings.HasPrefix(repo.RepositoryStr(), k.path) &&
		slices.ContainsFunc(hosts, func(host string) bool { return fitsHost(k.host, host) })
}

func fitsHost(pattern, host string) bool {
	wantName, wantPort := splitPort(pattern)
	haveName, havePort := splitPort(host)
	want, have := strings.Split(wantName, "."), strings.Split(haveName, ".")
	if wantPort != havePort || len(want) != len(have) {
		return false
	}
	for i := range want {
		if fits, err := path.Match(want[i], have[i]); err != nil || !fits {
			return false
		}
	}
	return true
}

func splitPort(host string) (hostname, port string) {
	if h, p, err := net.SplitHostPort(host); err == nil {
		return h, p
	}
	return host, ""
}
