package registry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/docker/cli/cli/config"
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
}

// authenticator finds the login for a repository. Anonymous is a login too: the registry decides.
func (c *Client) authenticator(ctx context.Context, repo name.Repository, credential string) (authn.Authenticator, error) {
	if credential != "" {
		return c.namedAuthenticator(ctx, repo, credential)
	}
	const source = "this host's docker configuration"
	if c.options.DockerConfig != "" {
		return fromDockerConfig(c.options.DockerConfig, repo, source)
	}
	auth, err := authn.Resolve(ctx, authn.DefaultKeychain, repo)
	if err != nil {
		return nil, unreadable(source, err)
	}
	return auth, nil
}

func (c *Client) namedAuthenticator(ctx context.Context, repo name.Repository, credential string) (authn.Authenticator, error) {
	if named, ok := c.options.Credentials[credential]; ok {
		return named.authenticator(repo, fmt.Sprintf("the credential %q", credential))
	}
	if c.options.PullSecrets == nil {
		return nil, faultf(badCredential, "there is no credential %q on this host", credential)
	}
	keychain, err := c.options.PullSecrets(ctx, credential)
	if err == nil {
		return authn.Resolve(ctx, keychain, repo)
	}
	var classed interface{ FailureClass() model.FailureClass }
	if errors.As(err, &classed) && !classed.FailureClass().Temporary() {
		return nil, faultf(badCredential, "%s", err)
	}
	return nil, faultf(refused, "%s", err)
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
