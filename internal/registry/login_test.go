package registry_test

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/registry"
	"github.com/perceptor/perceptor/model"
)

// guarded is a registry that opens to one user only, by password or by a token that the password gets.
func guarded(t *testing.T, bearer bool) *fake {
	t.Helper()
	f := newFake(t)
	guard := func(w http.ResponseWriter, r *http.Request) bool {
		user, password, _ := r.BasicAuth()
		known := user == "robot" && password == "s3cret"
		switch {
		case r.URL.Path == "/token" && known:
			_, _ = fmt.Fprint(w, `{"token":"a-token"}`)
		case r.URL.Path == "/token":
			w.WriteHeader(http.StatusUnauthorized)
		case bearer && r.Header.Get("Authorization") == "Bearer a-token", !bearer && known:
			return false
		case bearer:
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+f.URL+`/token",service="fake"`)
			w.WriteHeader(http.StatusUnauthorized)
		default:
			w.Header().Set("WWW-Authenticate", `Basic realm="fake"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
		return true
	}
	f.misbehave(guard)
	return f
}

func dockerConfig(t *testing.T, host, user, password string) string {
	t.Helper()
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	return write(t, filepath.Join(t.TempDir(), "config.json"), fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, auth))
}

// helper is a docker credential helper, found by its name, and a config that names it.
func helper(t *testing.T, host, user, password string) string {
	t.Helper()
	dir := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\necho '{\"ServerURL\":\"x\",\"Username\":\"%s\",\"Secret\":\"%s\"}'\n", user, password)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "docker-credential-fake"), []byte(script), 0o700))
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return write(t, filepath.Join(dir, "config.json"), fmt.Sprintf(`{"credHelpers":{%q:"fake"}}`, host))
}

func TestCredentials(t *testing.T) {
	refusedAnybody := "unauthorized: the registry refused: the image is private or does not exist, and this host's docker configuration does not open it"
	for name, row := range map[string]struct {
		credential string
		named      func(t *testing.T, host string) registry.Credential
		// config is a docker config file for those who name no credential.
		config func(t *testing.T, host string) string
		want   string
	}{
		"password file": {credential: "team-a", named: func(t *testing.T, _ string) registry.Credential {
			return registry.Credential{Username: "robot", PasswordFile: write(t, filepath.Join(t.TempDir(), "p"), "s3cret\n")}
		}},
		"both in files": {credential: "team-a", named: func(t *testing.T, _ string) registry.Credential {
			dir := t.TempDir()
			return registry.Credential{UsernameFile: write(t, filepath.Join(dir, "u"), "robot"), PasswordFile: write(t, filepath.Join(dir, "p"), "s3cret")}
		}},
		"named docker config": {credential: "team-a", named: func(t *testing.T, host string) registry.Credential {
			return registry.Credential{DockerConfig: dockerConfig(t, host, "robot", "s3cret")}
		}},
		"explicit docker config": {config: func(t *testing.T, host string) string { return dockerConfig(t, host, "robot", "s3cret") }},
		"credential helper":      {config: func(t *testing.T, host string) string { return helper(t, host, "robot", "s3cret") }},
		"DOCKER_CONFIG": {config: func(t *testing.T, host string) string {
			t.Setenv("DOCKER_CONFIG", filepath.Dir(dockerConfig(t, host, "robot", "s3cret")))
			return ""
		}},
		"anonymous": {want: refusedAnybody},
		"config for another registry": {
			config: func(t *testing.T, _ string) string { return dockerConfig(t, "other.example", "robot", "s3cret") }, want: refusedAnybody,
		},
		"wrong password": {credential: "team-a", named: func(t *testing.T, _ string) registry.Credential {
			return registry.Credential{Username: "robot", PasswordFile: write(t, filepath.Join(t.TempDir(), "p"), "wr0ng")}
		}, want: `unauthorized: the registry refused the credential that the request names`},
		"unknown name": {credential: "team-b", want: `unauthorized: this host has no credential of the name that the request gives`},
		"missing file": {credential: "team-a", named: func(*testing.T, string) registry.Credential {
			return registry.Credential{Username: "robot", PasswordFile: "/no/such/file"}
		}, want: `unauthorized: the credential that the request names cannot be used: its file does not exist`},
		"no password": {credential: "team-a", named: func(*testing.T, string) registry.Credential {
			return registry.Credential{Username: "robot"}
		}, want: `unauthorized: the credential that the request names is incomplete: it has no user name or no password`},
		"broken config": {credential: "team-a", named: func(t *testing.T, _ string) registry.Credential {
			return registry.Credential{DockerConfig: write(t, filepath.Join(t.TempDir(), "c"), `{"auths":{"x":{"auth":"s3cret"}}`)}
		}, want: `unauthorized: the credential that the request names cannot be used: it is not a valid docker config file, or its helper failed`},
	} {
		for scheme, bearer := range map[string]bool{"basic": false, "bearer": true} {
			t.Run(name+", "+scheme, func(t *testing.T) {
				f := guarded(t, bearer)
				digest := f.push(t, "app", "v1", imageOf(t, layerOf(1, 1000)))
				options := registry.Options{Credentials: map[string]registry.Credential{}}
				if row.named != nil {
					named := row.named(t, f.host())
					named.Binding.Hosts = []string{f.host()}
					options.Credentials["team-a"] = named
				}
				h := newHost(t, options)
				if row.config != nil {
					options.DockerConfig = row.config(t, f.host())
					options.CacheDir = h.cache
					var err error
					h.Client, err = registry.NewHasty(options)
					require.NoError(t, err)
				}
				resolved, err := h.Resolve(t.Context(), f.host()+"/app:v1", model.Platform{}, row.credential)
				if row.want == "" {
					require.NoError(t, err)
					require.Equal(t, row.credential, resolved.Name.Credential)
					_, err = h.Pull(t.Context(), registry.PullRequest{Digest: digest, Names: []model.Name{resolved.Name}, Tar: h.tar()}, nil)
					require.NoError(t, err)
					return
				}
				require.EqualError(t, err, "resolve "+f.host()+"/app:v1: "+row.want)
				require.Equal(t, model.Unauthorized, classOf(t, err))
				require.NotContains(t, fmt.Sprintf("%+v", errorOf(t, err).Unwrap()), "s3cret")
			})
		}
	}
}

func TestCertificates(t *testing.T) {
	f := unstarted()
	f.Server = httptest.NewTLSServer(f)
	defer f.Close()
	digest := f.push(t, "app", "v1", imageOf(t, layerOf(1, 1000)))
	authority := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw}))
	for name, row := range map[string]struct {
		rule registry.Host
		good bool
	}{
		"unknown authority": {rule: registry.Host{}},
		"its CA file":       {rule: registry.Host{CAFile: write(t, filepath.Join(t.TempDir(), "ca.pem"), authority)}, good: true},
		"insecure":          {rule: registry.Host{Insecure: true}, good: true},
		"plain HTTP allowed, which does not mean that any certificate will do": {rule: registry.Host{PlainHTTP: true}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, registry.Options{Hosts: map[string]registry.Host{f.host(): row.rule, "other.example": {Insecure: true}}})
			_, err := h.pull(t.Context(), f.host()+"/app", digest)
			if row.good {
				require.NoError(t, err)
				return
			}
			require.Equal(t, model.Invalid, classOf(t, err))
			require.ErrorContains(t, err, "certificate is not trusted")
		})
	}
}

func TestRedirects(t *testing.T) {
	h := newHost(t, registry.Options{Hosts: map[string]registry.Host{"plain.example": {PlainHTTP: true}}})
	for name, row := range map[string]struct{ from, to, want string }{
		"to a storage service": {"https://registry.example/v2/", "https://storage.example/x?sig=1", ""},
		"to metadata": {
			"https://registry.example/v2/", "https://169.254.169.254/x",
			"the registry redirected to the internal address 169.254.169.254, which is not followed",
		},
		"to this machine": {"https://registry.example/v2/", "https://localhost/x", "the registry redirected to the internal address localhost, which is not followed"},
		"to a mapped address": {
			"https://registry.example/v2/", "https://[::ffff:10.0.0.1]/x",
			"the registry redirected to the internal address ::ffff:10.0.0.1, which is not followed",
		},
		"from inside to inside":      {"https://10.0.0.1/v2/", "https://10.0.0.2/x", ""},
		"to plain HTTP":              {"https://registry.example/v2/", "http://storage.example/x", "the registry redirected to storage.example without TLS, which is not followed"},
		"to plain HTTP, as is meant": {"https://registry.example/v2/", "http://plain.example/x", ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := h.Redirected(&http.Request{URL: parse(t, row.to)}, []*http.Request{{URL: parse(t, row.from)}})
			if row.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, row.want)
		})
	}
}

func parse(t *testing.T, address string) *url.URL {
	t.Helper()
	parsed, err := url.Parse(address)
	require.NoError(t, err)
	return parsed
}
