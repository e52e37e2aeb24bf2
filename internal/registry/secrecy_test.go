package registry_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/netguard"
	"github.com/perceptor/perceptor/internal/registry"
	"github.com/perceptor/perceptor/model"
)

// foreign is a registry of an attacker. It asks for logins in every way, and keeps all that it receives.
type foreign struct {
	*httptest.Server
	// challenge answers the greeting; nil means that the registry asks for a password.
	challenge func(http.ResponseWriter)

	lock     sync.Mutex
	received strings.Builder
	requests int
}

func newForeign(t *testing.T) *foreign {
	t.Helper()
	f := &foreign{}
	f.Server = httptest.NewServer(f)
	t.Cleanup(func() {
		f.Close()
		if testing.Verbose() {
			t.Logf("the foreign registry received %d requests:\n%s", f.requests, f.received.String())
		}
	})
	return f
}

func (f *foreign) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	dump, _ := httputil.DumpRequest(r, true)
	f.lock.Lock()
	f.requests++
	f.received.Write(dump)
	f.lock.Unlock()
	switch {
	case r.URL.Path == "/token":
		_, _ = fmt.Fprint(w, `{"token":"foreign-token"}`)
	case r.URL.Path == "/v2/" && f.challenge != nil:
		f.challenge(w)
	default:
		w.Header().Set("WWW-Authenticate", `Basic realm="foreign"`)
		w.WriteHeader(http.StatusUnauthorized)
	}
}

func (f *foreign) host() string { return strings.TrimPrefix(f.URL, "http://") }

const (
	ourUser   = "our-robot"
	ourSecret = "our-s3cret-password"
	ourToken  = "our-registry-token"
)

// receivedNothing fails when anything that a login is made of has come to the foreign registry.
func (f *foreign) receivedNothing(t *testing.T) {
	t.Helper()
	f.lock.Lock()
	defer f.lock.Unlock()
	got := f.received.String()
	encoded := base64.StdEncoding.EncodeToString([]byte(ourUser + ":" + ourSecret))
	for _, secret := range []string{ourUser, ourSecret, ourToken, encoded, "Authorization:", "refresh_token", "our-identity"} {
		require.NotContains(t, got, secret)
	}
}

// boundHost is a client with credentials that are bound to our registry, in every form, and a log.
func boundHost(t *testing.T, ours string, hosts map[string]registry.Host) (host, *bytes.Buffer) {
	t.Helper()
	directory, log := t.TempDir(), &bytes.Buffer{}
	password := write(t, filepath.Join(directory, "password"), ourSecret)
	config := write(t, filepath.Join(directory, "config.json"), fmt.Sprintf(`{"auths":{%q:{"auth":%q},"*":{"auth":%q},"":{"auth":%q}}}`,
		ours, base64.StdEncoding.EncodeToString([]byte(ourUser+":"+ourSecret)), base64.StdEncoding.EncodeToString([]byte(ourUser+":"+ourSecret)),
		base64.StdEncoding.EncodeToString([]byte(ourUser+":"+ourSecret))))
	identity := write(t, filepath.Join(directory, "identity.json"), fmt.Sprintf(`{"auths":{%q:{"identitytoken":"our-identity"}}}`, ours))
	bound := registry.Binding{Hosts: []string{ours}}
	return newHost(t, registry.Options{
		Hosts: hosts, DockerConfig: config, Log: slog.New(slog.NewTextHandler(log, nil)),
		Credentials: map[string]registry.Credential{
			"password": {Username: ourUser, PasswordFile: password, Binding: bound},
			"docker":   {DockerConfig: config, Binding: bound},
			"identity": {DockerConfig: identity, Binding: bound},
			"narrow":   {Username: ourUser, PasswordFile: password, Binding: registry.Binding{Hosts: []string{ours}, Repositories: []string{"team-a"}, Clusters: []string{"prod"}}},
		},
		PullSecrets: func(context.Context, string) ([][]byte, error) {
			return [][]byte{fmt.Appendf(nil, `{"auths":{%q:{"username":%q,"password":%q}}}`, ours, ourUser, ourSecret)}, nil
		},
		MayName: func(credential, from string) error {
			if from != "prod/shop" || !strings.HasPrefix(credential, "kubernetes:shop/") {
				return fmt.Errorf("not from %s", from)
			}
			return nil
		},
	}), log
}

// credentialNames are every way in which a request can name a credential.
var credentialNames = []string{"password", "docker", "identity", "narrow", "kubernetes:shop/pull", "", "unheard-of", "PASSWORD", "password "}

// TestAForeignRegistryReceivesNoCredential names every credential for every kind of name of an image on a foreign host.
func TestAForeignRegistryReceivesNoCredential(t *testing.T) {
	f := newForeign(t)
	_, port, err := net.SplitHostPort(f.host())
	require.NoError(t, err)
	ours := "127.0.0.1:1" // bound by host and port: the foreign registry is the same host with another port
	h, _ := boundHost(t, ours, nil)
	names := []string{
		f.host() + "/app",                                            // another port of the bound host
		"localhost:" + port + "/app",                                 // another name of the bound host
		"LOCALHOST:" + port + "/app",                                 // upper case
		"localhost.:" + port + "/app",                                // a dot at the end
		"x.localhost:" + port + "/app",                               // a name below
		f.host() + "/" + "registry.example/app",                      // the bound host in the repository
		f.host() + "/127.0.0.1/app",                                  // the bound address in the repository
		"[::ffff:127.0.0.1]:" + port + "/app",                        // a mapped address
		"our-robot:pw@" + f.host() + "/app",                          // user information
		"127.0.0.1:1@" + f.host() + "/app",                           // the bound host as user information
		f.host() + "/app#127.0.0.1:1",                                // a fragment
		f.host() + "/app?host=127.0.0.1:1",                           // a query
		f.host() + "\\@127.0.0.1:1/app",                              // a backslash
		"ｌocalhost:" + port + "/app",                                 // a letter of another width
		"127.0.0.1:1/../" + f.host() + "/app",                        // a path upwards
		"127.0.0.1:1 " + f.host() + "/app",                           // a space
		"127.0.0.1:0" + port + "/app",                                // a port with a zero before it
		"0x7f.0.0.1:" + port + "/app", "2130706433:" + port + "/app", // other forms of numbers
	}
	for _, name := range names {
		for _, credential := range credentialNames {
			for _, reference := range []string{name + ":v1", name + "@" + string(unknownDigest)} {
				_, err := h.Resolve(t.Context(), reference, model.Platform{}, credential)
				require.Error(t, err, reference)
			}
			_, err := h.Pull(t.Context(), registry.PullRequest{Digest: unknownDigest, Names: []model.Name{{Repository: name, Tag: "v1", Credential: credential}}, Tar: h.tar()}, nil)
			require.Error(t, err, name)
			require.NotContains(t, err.Error(), ourSecret)
		}
	}
	require.Greater(t, f.requests, 10, "the foreign registry was asked, so it could have received a login")
	f.receivedNothing(t)
}

const unknownDigest = model.Digest("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a")

// TestOurRegistryPassesNoCredentialOn has the bound registry itself name a foreign host: as its token server, and in redirects of
// every request. The twin is the same registry with its own token server: it gets the login.
func TestOurRegistryPassesNoCredentialOn(t *testing.T) {
	f := newForeign(t)
	realm := func(address string) handler {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+address+`",service="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
	}
	redirect := func(status int) handler {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasPrefix(r.URL.Path, "/token") {
				return false
			}
			http.Redirect(w, r, f.URL+"/token", status)
			return true
		}
	}
	for name, fault := range map[string]func(own string) handler{
		"realm":         func(string) handler { return realm(f.URL + "/token") },
		"realm by name": func(string) handler { return realm("http://localhost:" + strings.Split(f.host(), ":")[1] + "/token") },
		"realm with a user": func(own string) handler {
			return realm("http://" + strings.TrimPrefix(own, "http://") + "@" + f.host() + "/token")
		},
		"realm, 302":         func(own string) handler { return either(redirect(302), realm(own+"/token")) },
		"realm, 307":         func(own string) handler { return either(redirect(307), realm(own+"/token")) },
		"realm, 308":         func(own string) handler { return either(redirect(308), realm(own+"/token")) },
		"greeting elsewhere": func(string) handler { return moved(f.URL, 307) },
		"manifest elsewhere": func(string) handler {
			return func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/v2/" {
					w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
					w.WriteHeader(http.StatusUnauthorized)
					return true
				}
				return moved(f.URL, 307)(w, r)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			registry, token := newFake(t), make(chan bool, 100)
			h, _ := boundHost(t, registry.host(), nil)
			registry.misbehave(fault(registry.URL))
			for _, credential := range credentialNames {
				_, err := h.Resolve(t.Context(), registry.host()+"/app:v1", model.Platform{}, credential)
				require.Error(t, err)
				require.NotContains(t, err.Error(), ourSecret)
			}
			close(token)
			f.receivedNothing(t)
		})
	}
	require.Positive(t, f.requests, "the foreign host was asked, so it could have received a login")
	twin := guarded(t, true)
	twin.push(t, "app", "v1", imageOf(t, layerOf(1, 1000)))
	h := newHost(t, registryOptions(t, twin.host()))
	_, err := h.Resolve(t.Context(), twin.host()+"/app:v1", model.Platform{}, "password")
	require.NoError(t, err, "the registry's own token server gets the login")
}

func registryOptions(t *testing.T, ours string) registry.Options {
	t.Helper()
	return registry.Options{Credentials: map[string]registry.Credential{"password": {
		Username: "robot", PasswordFile: write(t, filepath.Join(t.TempDir(), "p"), "s3cret"), Binding: registry.Binding{Hosts: []string{ours}},
	}}}
}

// TestABoundRealm: a token server on another host gets the login once the registry's configuration names it.
func TestABoundRealm(t *testing.T) {
	server := guarded(t, true)
	ours := newFake(t)
	ours.push(t, "app", "v1", imageOf(t, layerOf(1, 1000)))
	ours.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == "Bearer a-token" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="http://localhost:`+strings.Split(server.host(), ":")[1]+`/token",service="x"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	realm := "localhost:" + strings.Split(server.host(), ":")[1]
	for _, row := range []struct {
		realms []string
		good   bool
	}{{nil, false}, {[]string{"localhost"}, false}, {[]string{"localhost:1"}, false}, {[]string{realm}, true}, {[]string{strings.ToUpper(realm)}, true}} {
		options := registryOptions(t, ours.host())
		options.Hosts = map[string]registry.Host{ours.host(): {Realms: row.realms}}
		_, err := newHost(t, options).Resolve(t.Context(), ours.host()+"/app:v1", model.Platform{}, "password")
		if row.good {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, "list it under realms of this registry")
	}
}

// either is the first fault, and the second for what the first passes on.
func either(first, second handler) handler {
	return func(w http.ResponseWriter, r *http.Request) bool { return first(w, r) || second(w, r) }
}

func moved(to string, status int) handler {
	return func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, to+r.URL.Path, status)
		return true
	}
}

func TestPermits(t *testing.T) {
	h, log := boundHost(t, "registry.example", nil)
	for _, row := range []struct {
		reference, credential, from string
		good                        bool
	}{
		{"registry.example/app:1", "password", "prod/shop", true},
		{"registry.example/app:1", "password", "", true},
		{"REGISTRY.EXAMPLE./app:1", "password", "", true}, // the same host
		{"registry.example:443/app:1", "password", "", true},
		{"registry.example:444/app:1", "password", "", false},
		{"x.registry.example/app:1", "password", "", false},
		{"registry.example.evil/app:1", "password", "", false},
		{"registry-example/app:1", "password", "", false},
		{"rеgistry.example/app:1", "password", "", false}, // a Cyrillic letter
		{"evil.example/registry.example/app:1", "password", "", false},
		{"app:1", "password", "", false},
		{"registry.example/team-a/app:1", "narrow", "prod/shop", true},
		{"registry.example/team-a:1", "narrow", "prod", true},
		{"registry.example/team-ab/app:1", "narrow", "prod/shop", false},
		{"registry.example/team-b/team-a/app:1", "narrow", "prod/shop", false},
		{"registry.example/team-a/app:1", "narrow", "test/shop", false},
		{"registry.example/team-a/app:1", "narrow", "prod2/shop", false},
		{"registry.example/team-a/app:1", "narrow", "", true}, // an operator of all clusters
		{"registry.example/app:1", "kubernetes:shop/pull", "prod/shop", true},
		{"registry.example/app:1", "kubernetes:shop/pull", "prod/other", false},
		{"registry.example/app:1", "unheard-of", "prod/shop", false},
		{"evil.example/app:1", "", "prod/shop", true},
	} {
		err := h.Permits(row.reference, row.credential, row.from)
		if row.good {
			require.NoError(t, err, "%+v", row)
			continue
		}
		require.Error(t, err, "%+v", row)
		require.NotContains(t, err.Error(), row.credential+" ")
		if !strings.Contains(row.reference, "rеg") {
			require.Equal(t, model.Unauthorized, classOf(t, err))
		}
	}
	require.Contains(t, log.String(), "narrow", "the log names what was refused")
}

func TestBindingsThatCannotWork(t *testing.T) {
	for name, row := range map[string]struct {
		binding registry.Binding
		good    bool
	}{
		"none":                      {registry.Binding{}, false},
		"empty":                     {registry.Binding{Hosts: []string{""}}, false},
		"star":                      {registry.Binding{Hosts: []string{"*"}}, false},
		"star of all":               {registry.Binding{Hosts: []string{"*.com"}}, false},
		"star of a public suffix":   {registry.Binding{Hosts: []string{"*.co.uk"}}, false},
		"star of an unknown domain": {registry.Binding{Hosts: []string{"*.cluster.local"}}, false},
		"star inside":               {registry.Binding{Hosts: []string{"a.*.example.com"}}, false},
		"address":                   {registry.Binding{Hosts: []string{"*.0.0.1"}}, false},
		"URL":                       {registry.Binding{Hosts: []string{"https://registry.example.com"}}, false},
		"path":                      {registry.Binding{Hosts: []string{"registry.example.com/team"}}, false},
		"user":                      {registry.Binding{Hosts: []string{"me@registry.example.com"}}, false},
		"pattern":                   {registry.Binding{Hosts: []string{"r.example.com"}, Repositories: []string{"team-*"}}, false},
		"slash":                     {registry.Binding{Hosts: []string{"r.example.com"}, Repositories: []string{"team/"}}, false},
		"host":                      {registry.Binding{Hosts: []string{"r.example.com:5000"}, Repositories: []string{"team", "a/b"}}, true},
		"star of ours":              {registry.Binding{Hosts: []string{"*.example.com"}}, true},
		"Docker Hub":                {registry.Binding{Hosts: []string{"docker.io"}}, true},
		"IPv6":                      {registry.Binding{Hosts: []string{"[fd12::1]:5000"}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := registry.New(registry.Options{CacheDir: t.TempDir(), Credentials: map[string]registry.Credential{"team": {PasswordFile: "x", Binding: row.binding}}})
			if row.good {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, `credential "team"`)
		})
	}
}

// TestAHelperForAllHosts: a credential helper that answers for every host is asked only about hosts that the file lists.
func TestAHelperForAllHosts(t *testing.T) {
	f := newForeign(t)
	ours := guarded(t, false)
	ours.push(t, "app", "v1", imageOf(t, layerOf(1, 1000)))
	directory := t.TempDir()
	script := "#!/bin/sh\necho '{\"ServerURL\":\"x\",\"Username\":\"robot\",\"Secret\":\"s3cret\"}'\n"
	require.NoError(t, os.WriteFile(filepath.Join(directory, "docker-credential-any"), []byte(script), 0o700))
	t.Setenv("PATH", directory+string(os.PathListSeparator)+os.Getenv("PATH"))
	config := write(t, filepath.Join(directory, "config.json"), fmt.Sprintf(`{"credsStore":"any","auths":{%q:{}}}`, ours.host()))
	h := newHost(t, registry.Options{DockerConfig: config})
	_, err := h.Resolve(t.Context(), ours.host()+"/app:v1", model.Platform{}, "")
	require.NoError(t, err)
	_, err = h.Resolve(t.Context(), f.host()+"/app:v1", model.Platform{}, "")
	require.Error(t, err)
	require.Positive(t, f.requests)
	require.NotContains(t, f.received.String(), "Authorization")
}

// TestAddressesThatAreNotCalled resolves names and follows redirects and realms to internal addresses.
func TestAddressesThatAreNotCalled(t *testing.T) {
	f := newForeign(t)
	_, port, err := net.SplitHostPort(f.host())
	require.NoError(t, err)
	guarded := func(rules netguard.Rules, hosts map[string]registry.Host) *registry.Client {
		c, err := registry.NewGuarded(registry.Options{CacheDir: t.TempDir(), Reach: rules, Hosts: hosts, DockerConfig: write(t, filepath.Join(t.TempDir(), "c"), "{}")})
		require.NoError(t, err)
		return c
	}
	for _, name := range []string{
		"127.0.0.1", "localhost", "LOCALHOST.", "x.localhost", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "[fd00:ec2::254]", "0.0.0.0",
		"10.255.255.1", "[::ffff:a9fe:a9fe]",
	} {
		_, err := guarded(netguard.Rules{}, nil).Resolve(t.Context(), registry.Question{Reference: name + ":" + port + "/app:v1"})
		require.ErrorContains(t, err, "may not be called from here", name)
		require.Equal(t, model.Invalid, classOf(t, err))
	}
	require.Zero(t, f.requests)
	_, err = guarded(netguard.Rules{}, nil).Resolve(t.Context(), registry.Question{Reference: f.host() + "/app:v1"})
	require.ErrorContains(t, err, "internal: true at this host under registries", "it says what to configure")
	_, err = guarded(netguard.Rules{}, map[string]registry.Host{f.host(): {Internal: true}}).Resolve(t.Context(), registry.Question{Reference: f.host() + "/app:v1"})
	require.Equal(t, model.Unauthorized, classOf(t, err), "it is asked once the configuration names it")
	require.Positive(t, f.requests)
	// A realm and a redirect at a metadata service, while loopback is allowed.
	for _, to := range []string{"http://169.254.169.254/latest", "http://[fd00:ec2::254]/x", "http://10.0.0.1/x"} {
		f.challenge = func(w http.ResponseWriter) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+to+`",service="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, err = guarded(netguard.Rules{Loopback: true}, nil).Resolve(t.Context(), registry.Question{Reference: f.host() + "/app:v1"})
		require.Error(t, err)
		require.Equal(t, model.Invalid, classOf(t, err), "%v", err)
	}
}
