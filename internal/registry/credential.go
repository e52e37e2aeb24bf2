package registry

import (
	"context"
	"errors"
	"os"
	"path/filepath"
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

// authenticator finds the login for a repository. Anonymous is a login too: the registry decides.
func (c *Client) authenticator(ctx context.Context, repo name.Repository, credential string) (authn.Authenticator, error) {
	if credential != "" {
		return c.namedAuthenticator(ctx, repo, credential)
	}
	path := c.options.DockerConfig
	if path == "" {
		path = usualDockerConfig()
	}
	if path == "" {
		return authn.Anonymous, nil
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
		if info, err := os.Stat(place); place != "" && err == nil && !info.IsDir() {
			return place
		}
	}
	return ""
}

func (c *Client) namedAuthenticator(ctx context.Context, repo name.Repository, credential string) (authn.Authenticator, error) {
	if named, ok := c.options.Credentials[credential]; ok {
		if err := c.checkBinding(named, repo, credential); err != nil {
			return nil, err
		}
		auth, err := named.authenticator(repo, "the credential that the request names")
		if err != nil {
			c.log.Warn("credential cannot be used", "credential", credential, "error", err)
		}
		return auth, err
	}
	if c.options.PullSecrets == nil {
		return nil, c.unknownCredential(credential)
	}
	keychain, err := c.options.PullSecrets(ctx, credential)
	if err == nil {
		return authn.Resolve(ctx, keychain, repo)
	}
	c.log.Warn("pull secret could not be read", "credential", credential, "error", err)
	var classed interface{ FailureClass() model.FailureClass }
	if errors.As(err, &classed) && !classed.FailureClass().Temporary() {
		return nil, faultf(badCredential, "the pull secret that the pod names cannot be used")
	}
	return nil, faultf(refused, "the pull secret that the pod names cannot be read at the moment")
}

func (c Credential) authenticator(repo name.Repository, source string) (authn.Authenticator, error) {
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
	return authn.FromConfig(authn.AuthConfig{Username: username, Password: password}), nil
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

// fromDockerConfig reads a docker config file, its credential helpers included.
func fromDockerConfig(path string, repo name.Repository, source string) (authn.Authenticator, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, unreadable(source, err)
	}
	defer file.Close() //nolint:errcheck // Only read.
	parsed, err := config.LoadFromReader(file)
	if err != nil {
		return nil, unreadable(source, err)
	}
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
		// The library fills in the address it was asked for, found or not.
		found.ServerAddress = ""
		if found != (types.AuthConfig{}) {
			return authn.FromConfig(authn.AuthConfig{
				Username: found.Username, Password: found.Password, Auth: found.Auth,
				IdentityToken: found.IdentityToken, RegistryToken: found.RegistryToken,
			}), nil
		}
	}
	return authn.Anonymous, nil
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
