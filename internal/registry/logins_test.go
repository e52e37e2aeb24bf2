package registry_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/registry"
	"github.com/perceptor/perceptor/model"
)

func TestLoginsOfPullSecretsAreThoseOfAKubelet(t *testing.T) {
	auths := func(pairs ...string) string {
		var entries []string
		for i := 0; i < len(pairs); i += 2 {
			entries = append(entries, fmt.Sprintf(`%q:{"username":%q,"password":"p"}`, pairs[i], pairs[i+1]))
		}
		return `{"auths":{` + strings.Join(entries, ",") + `}}`
	}
	for name, row := range map[string]struct {
		repository string
		secrets    []string
		want       []string
	}{
		"two secrets for one host":    {"r.example/a/b", []string{auths("r.example", "first"), auths("r.example", "second")}, []string{"first", "second"}},
		"the longer path first":       {"r.example/a/b", []string{auths("r.example", "host", "r.example/a", "team"), auths("r.example/a/b", "app")}, []string{"app", "team", "host"}},
		"a path that is another":      {"r.example/b/c", []string{auths("r.example/a", "team", "r.example", "host")}, []string{"host"}},
		"a pattern after the name":    {"r.one.example/a", []string{auths("*.one.example", "any", "r.one.example", "this")}, []string{"this", "any"}},
		"a pattern reaches no dot":    {"r.one.example/a", []string{auths("*.example", "any")}, nil},
		"another port":                {"r.example:5000/a", []string{auths("r.example", "any", "r.example:5000", "this")}, []string{"this"}},
		"Docker's own registry":       {"nginx", []string{auths("https://index.docker.io/v1/", "hub")}, []string{"hub"}},
		"an address with its scheme":  {"r.example/a", []string{auths("https://r.example/v2/", "this")}, []string{"this"}},
		"one that cannot be read":     {"r.example/a", []string{`{"auths":7}`, auths("r.example", "this")}, []string{"this"}},
		"a name that begins the same": {"r.example.evil/a", []string{auths("r.example", "this")}, nil},
		"no program is run":           {"r.example/a", []string{`{"credHelpers":{"r.example":"evil"},"credsStore":"evil"}`}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			users, err := registry.Logins(row.repository, row.secrets...)
			require.NoError(t, err)
			require.Equal(t, row.want, users)
		})
	}
	_, err := registry.Logins("r.example/a", `{"auths":"hunter2"}`)
	require.ErrorContains(t, err, "are no valid docker configuration")
	require.NotContains(t, err.Error(), "hunter2")
}

func TestNextLoginIsTried(t *testing.T) {
	for _, bearer := range []bool{false, true} {
		f := guarded(t, bearer)
		digest := f.push(t, "app", "v1", imageOf(t, layerOf(1, 1000)))
		secrets := func(passwords ...string) registry.Options {
			var texts [][]byte
			for _, password := range passwords {
				texts = append(texts, fmt.Appendf(nil, `{"auths":{%q:{"username":"robot","password":%q}}}`, f.host(), password))
			}
			return registry.Options{PullSecrets: func(context.Context, string) ([][]byte, error) { return texts, nil }}
		}
		pull := func(options registry.Options) error {
			h := newHost(t, options)
			_, err := h.Pull(t.Context(), registry.PullRequest{
				Digest: digest, Names: []model.Name{{Repository: f.host() + "/app", Tag: "v1", Credential: "kubernetes:shop/a,b"}}, Tar: h.tar(),
			}, nil)
			return err
		}
		require.NoError(t, pull(secrets("wr0ng", "s3cret")), "the second login is good")
		require.ErrorContains(t, pull(secrets("wr0ng", "wr0ng2")), "the registry refused the credential that the request names")
		f.misbehave(nil)
		require.NoError(t, pull(secrets("wr0ng")))
	}
}

func TestRegistryThatAsksForALoginOnlyAtTheRepository(t *testing.T) {
	for _, scheme := range []string{"Bearer", "Basic"} {
		for _, at := range []string{"/manifests/", "/blobs/"} {
			t.Run(scheme+at, func(t *testing.T) {
				f := newFake(t)
				digest := f.push(t, "app", "v1", imageOf(t, layerOf(1, 1000)))
				f.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
					user, password, _ := r.BasicAuth()
					known := user == "robot" && password == "s3cret"
					switch {
					case r.URL.Path == "/token" && known && r.URL.Query().Get("scope") == "repository:app:pull":
						_, _ = fmt.Fprint(w, `{"token":"a-token"}`)
						return true
					case r.URL.Path == "/token":
						w.WriteHeader(http.StatusUnauthorized)
						return true
					case !strings.Contains(r.URL.Path, at), scheme == "Bearer" && r.Header.Get("Authorization") == "Bearer a-token", scheme == "Basic" && known:
						return false
					case scheme == "Bearer":
						w.Header().Set("WWW-Authenticate", `Bearer realm="`+f.URL+`/token",service="fake",scope="repository:app:pull"`)
					default:
						w.Header().Set("WWW-Authenticate", `Basic realm="fake"`)
					}
					w.WriteHeader(http.StatusUnauthorized)
					return true
				})
				options := registry.Options{Credentials: map[string]registry.Credential{"team": {
					Username: "robot", PasswordFile: write(t, t.TempDir()+"/p", "s3cret"),
					Binding: registry.Binding{Hosts: []string{f.host()}},
				}}}
				h := newHost(t, options)
				_, err := h.Pull(t.Context(), registry.PullRequest{
					Digest: digest, Names: []model.Name{{Repository: f.host() + "/app", Tag: "v1", Credential: "team"}}, Tar: h.tar(),
				}, nil)
				require.NoError(t, err)
				_, err = h.Resolve(t.Context(), f.host()+"/app:v1", model.Platform{}, "")
				require.Equal(t, model.Unauthorized, classOf(t, err), "without a login it stays closed")
			})
		}
	}
}

func TestLoginGoesToNoOtherHost(t *testing.T) {
	seen := make(chan string, 100)
	storage := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header.Get("Authorization") }))
	defer storage.Close()
	f := guarded(t, false)
	digest := f.push(t, "app", "v1", imageOf(t, layerOf(1, 1000)))
	guard := f.fault
	f.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
		if guard(w, r) {
			return true
		}
		if strings.Contains(r.URL.Path, "/blobs/") {
			http.Redirect(w, r, storage.URL+"/x", http.StatusTemporaryRedirect)
			return true
		}
		return false
	})
	h := newHost(t, registry.Options{Credentials: map[string]registry.Credential{"team": {
		Username: "robot", PasswordFile: write(t, t.TempDir()+"/p", "s3cret"),
		Binding: registry.Binding{Hosts: []string{f.host()}},
	}}})
	_, err := h.Pull(t.Context(), registry.PullRequest{
		Digest: digest, Names: []model.Name{{Repository: f.host() + "/app", Tag: "v1", Credential: "team"}}, Tar: h.tar(),
	}, nil)
	require.ErrorContains(t, err, "does not match its digest")
	require.Empty(t, <-seen, "no login goes to where a layer is kept")
}

func TestLongRetryAfterConcernsOneRepositoryAndLogin(t *testing.T) {
	f, h := newFake(t), newHost(t, registry.Options{})
	f.push(t, "busy", "v1", imageOf(t, layerOf(1, 100)))
	f.push(t, "other", "v1", imageOf(t, layerOf(2, 100)))
	f.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/busy/") {
			return false
		}
		w.Header().Set("Retry-After", "21600")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	})
	_, err := h.Resolve(t.Context(), f.host()+"/busy:v1", model.Platform{}, "")
	require.Equal(t, model.Throttled, classOf(t, err))
	_, err = h.Resolve(t.Context(), f.host()+"/other:v1", model.Platform{}, "")
	require.NoError(t, err)
}

func FuzzLogins(f *testing.F) {
	f.Add("r.example/a", `{"auths":{"*.example/a":{"auth":"YTpi"}}}`)
	f.Add("nginx", `{"auths":{"https://index.docker.io/v1/":{"username":"a","password":"b"}}}`)
	f.Add("r.example:5000/a", `{"auths":{"[":{"username":"a"},"r.example:5000/":{"identitytoken":"t"}}}`)
	f.Fuzz(func(t *testing.T, repository, secret string) {
		users, err := registry.Logins(repository, secret)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		_, err = name.NewRepository(repository, name.WeakValidation)
		require.NoError(t, err, users)
	})
}

func FuzzChallenge(f *testing.F) {
	f.Add(`Bearer realm="https://auth.example/token",service="x"`)
	f.Add("basic")
	f.Add(" ,=")
	f.Fuzz(func(t *testing.T, challenge string) {
		scheme := registry.ChallengeScheme(http.Header{"Www-Authenticate": {challenge}})
		require.Contains(t, []string{"", "basic", "bearer"}, scheme)
	})
}
