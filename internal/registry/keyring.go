package registry

import (
	"cmp"
	"maps"
	"net"
	"path"
	"slices"
	"strings"

	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

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
