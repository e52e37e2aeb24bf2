package registry_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/registry"
	"github.com/perceptor/perceptor/model"
)

// What people read, by what happened: a list to be read as a whole when a word is changed.
func TestMessages(t *testing.T) {
	layer, config := layerOf(1, 1000), `{"errors":[{"code":"DENIED","message":"policy says no"}]}`
	content := contentOf(t, layer)
	ofLayer := hashOf(t, layer).String()
	for name, row := range map[string]struct {
		fault handler
		class model.FailureClass
		want  string
	}{
		"401": {
			answer(401, nil, ""), model.Unauthorized,
			`unauthorized: the registry refused the credential that the request names`,
		},
		"403": {
			answer(403, nil, config), model.Unauthorized,
			`unauthorized: the registry refused the credential that the request names`,
		},
		"404": {
			answer(404, nil, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}`), model.NotFound,
			`not-found: the registry has no such image`,
		},
		"unknown name with another status": {
			answer(400, nil, `{"errors":[{"code":"NAME_UNKNOWN"}]}`), model.NotFound,
			`not-found: the registry has no such image`,
		},
		"layer missing": {
			only(ofLayer, answer(404, nil, "")), model.NotFound,
			`not-found: the registry does not have its layer LAYER`,
		},
		"429": {
			answer(429, map[string]string{"Retry-After": "90"}, ""), model.Throttled,
			`throttled: the registry asks for fewer requests, and to wait 1m30s`,
		},
		"500": {
			answer(500, nil, "<html>secret inside</html>"), model.Transient,
			`transient: the registry answered 500 Internal Server Error`,
		},
		"503 with a time": {
			answer(503, map[string]string{"Retry-After": "120"}, ""), model.Transient,
			`transient: the registry answered 503 and asks to wait 2m0s`,
		},
		"418": {
			answer(418, nil, `{"errors":[{"code":"X","message":"short\nand stout"}]}`), model.Invalid,
			`invalid: the registry answered 418 I'm a teapot`,
		},
		"manifest of another digest": {
			answer(200, map[string]string{"Content-Type": "application/vnd.oci.image.manifest.v1+json"}, "{}"), model.Invalid,
			`invalid: the manifest does not match its digest: the registry sent sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a`,
		},
		"endless manifest": {
			answer(200, nil, strings.Repeat(" ", 5<<20)), model.Invalid,
			`invalid: its manifest is longer than the 4194304 bytes it may have`,
		},
		"layer of another digest": {
			only(ofLayer, answer(200, nil, strings.Repeat("x", 1000))), model.Invalid,
			`invalid: the layer LAYER does not match its digest: the registry sent sha256:44f8354494a5ba03ba1792a8d3e9c534c47a9181980fde7a3f44b06ef2ae7c7f`,
		},
		"layer too short": {
			only(ofLayer, answer(200, nil, strings.Repeat("x", 999))), model.Invalid,
			`invalid: the layer LAYER has 999 bytes in the registry and 1000 in the manifest`,
		},
		"layer announced too long": {
			only(ofLayer, answer(200, nil, strings.Repeat("x", 1001))), model.Invalid,
			`invalid: the layer LAYER is longer than the 1000 bytes its manifest says`,
		},
		"layer without an end": {
			only(ofLayer, endless(content)), model.Invalid,
			`invalid: the layer LAYER is longer than the 1000 bytes its manifest says`,
		},
		"broken streams": {
			only(ofLayer, truncate(content, 10)), model.Transient,
			`transient: the connection broke off in the middle of the layer LAYER`,
		},
		"silence": {
			only(ofLayer, stall(nil)), model.Transient,
			`transient: the registry stopped sending`,
		},
		"redirect to an internal address": {
			answer(307, map[string]string{"Location": "http://169.254.169.254/latest/meta-data?token=secret"}, ""), model.Invalid,
			`invalid: the registry redirected to 169.254.169.254 without TLS, which is not followed`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			h := newHost(t, registry.Options{Credentials: map[string]registry.Credential{"team-a": {
				Username: "a", PasswordFile: write(t, filepath.Join(t.TempDir(), "password"), "secret"), Binding: registry.Binding{Hosts: []string{f.host()}},
			}}})
			digest := f.push(t, "app", "v1", imageOf(t, layer))
			f.misbehave(row.fault)
			repository := f.host() + "/app"
			_, err := h.Pull(t.Context(), registry.PullRequest{
				Digest: digest, Names: []model.Name{{Repository: repository, Credential: "team-a"}}, Tar: h.tar(),
			}, nil)
			require.EqualError(t, err, "pull "+repository+"@"+string(digest)+": "+strings.ReplaceAll(row.want, "LAYER", ofLayer))
			require.Equal(t, row.class, classOf(t, err))
			require.NotContains(t, fmt.Sprintf("%+v %v", err, errorOf(t, err).Unwrap()), "secret")
			nothingIsLeft(t, h)
		})
	}
}

func TestMessagesOfConnections(t *testing.T) {
	const digest = model.Digest("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	unused := listener.Addr().String()
	require.NoError(t, listener.Close())
	secure := httptest.NewTLSServer(unstarted())
	defer secure.Close()
	secure.Config.ErrorLog = nil
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	defer elsewhere.Close()
	hangUp := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer hangUp.Close()

	for name, row := range map[string]struct{ host, want string }{
		"unknown host":    {"registry.invalid", `transient: the host "registry.invalid" is not known; is the registry's name right?`},
		"nothing listens": {unused, `transient: nothing listens at ` + unused + `; is the registry running?`},
		"not a registry":  {addressOf(elsewhere), `not-found: the host does not answer like a registry; is the name right?`},
		"hangs up":        {addressOf(hangUp), `transient: the connection to the registry broke off`},
		"foreign authority": {addressOf(secure), `invalid: the registry's certificate is not trusted (certificate signed by unknown authority); ` +
			`give the CA file of this host if it has an authority of its own`},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, registry.Options{})
			_, err := h.pull(t.Context(), row.host+"/app", digest)
			require.EqualError(t, err, "pull "+row.host+"/app@"+string(digest)+": "+row.want)
			nothingIsLeft(t, h)
		})
	}
}

func addressOf(s *httptest.Server) string { return s.Listener.Addr().String() }

func TestMessagesOfStopping(t *testing.T) {
	f, h := newFake(t), newHost(t, registry.Options{})
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_, err := h.Resolve(ctx, f.host()+"/app:v1", model.Platform{}, "")
	require.EqualError(t, err, "resolve "+f.host()+"/app:v1: transient: stopped before it was done: context deadline exceeded")
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
