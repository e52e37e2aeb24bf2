package blackduck_test

import (
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/blackduck"
	"github.com/perceptor/perceptor/model"
)

func writeCertificate(t *testing.T, path string, hub *httptest.Server) {
	t.Helper()
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hub.Certificate().Raw})
	require.NoError(t, os.WriteFile(path, block, 0o600))
}

func TestOptionsMistakes(t *testing.T) {
	good := blackduck.Options{Name: "prod", URL: "https://hub.example:8443", TokenFile: "token"}
	noCertificate := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(noCertificate, []byte("hello"), 0o600))
	for _, c := range []struct {
		name   string
		change func(o *blackduck.Options)
		says   string
	}{
		{"no name", func(o *blackduck.Options) { o.Name = "" }, "name is empty"},
		{"no url", func(o *blackduck.Options) { o.URL = "" }, "url: it is empty"},
		{"plain http", func(o *blackduck.Options) { o.URL = "http://hub.example" }, "credentials go over https only"},
		{"no scheme", func(o *blackduck.Options) { o.URL = "hub.example:8443" }, "https only"},
		{"no url at all", func(o *blackduck.Options) { o.URL = "https://%zz" }, "it is not a URL"},
		{"no host", func(o *blackduck.Options) { o.URL = "https://:8443" }, "it names no host"},
		{"credentials in url", func(o *blackduck.Options) { o.URL = "https://me:geheim@hub.example" }, "put them into files"},
		{"query", func(o *blackduck.Options) { o.URL = "https://hub.example/?a=b" }, "want only the root"},
		{"no login", func(o *blackduck.Options) { o.TokenFile = "" }, "no login"},
		{"two logins", func(o *blackduck.Options) { o.Username, o.PasswordFile = "me", "p" }, "choose one login"},
		{"half a login", func(o *blackduck.Options) { o.TokenFile, o.Username = "", "me" }, "without a password file"},
		{"other half", func(o *blackduck.Options) { o.TokenFile, o.PasswordFile = "", "p" }, "without a username"},
		{"token for old", func(o *blackduck.Options) { o.Generation = blackduck.GenerationOld }, "generation old knows no tokens"},
		{"generation", func(o *blackduck.Options) { o.Generation = "next" }, `generation "next": want auto, current or old`},
		{"rate", func(o *blackduck.Options) { o.RequestsPerSecond = -1 }, "requests per second is -1"},
		{"timeout", func(o *blackduck.Options) { o.Timeout = -1 }, "timeout is -1ns"},
		{"ca and insecure", func(o *blackduck.Options) { o.CAFile, o.Insecure = noCertificate, true }, "choose one"},
		{"ca missing", func(o *blackduck.Options) { o.CAFile = noCertificate + "x" }, "ca file: open"},
		{"ca empty", func(o *blackduck.Options) { o.CAFile = noCertificate }, "no PEM certificate in it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			options := good
			c.change(&options)
			_, err := blackduck.New(options)
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "geheim")
			var e *blackduck.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, model.Invalid, e.FailureClass())
		})
	}
}

func TestOptionsTellAllMistakes(t *testing.T) {
	_, err := blackduck.New(blackduck.Options{URL: "ftp://x", Generation: "y", RequestsPerSecond: -1, CAFile: "/nowhere"})
	for _, each := range []string{"name is empty", "https only", "no login", "generation", "requests per second", "ca file"} {
		require.ErrorContains(t, err, each)
	}
}

func TestUploadTarget(t *testing.T) {
	options := blackduck.Options{Name: "prod", URL: "https://HUB.example:443/", TokenFile: secretFile(t, "one"), Insecure: true}
	client := newClient(t, options)
	require.Equal(t, "prod", client.Name())
	target, err := client.UploadTarget(t.Context())
	require.NoError(t, err)
	require.Equal(t, model.UploadTarget{Hub: "prod", URL: "https://hub.example", Insecure: true, Token: "one"}, target)

	require.NoError(t, os.WriteFile(options.TokenFile, []byte("  two \r\n"), 0o600))
	target, err = client.UploadTarget(t.Context())
	require.NoError(t, err)
	require.Equal(t, "two", target.Token, "the file is read at each call")

	options.TokenFile, options.Username, options.PasswordFile = "", "me", secretFile(t, " with space ")
	target, err = newClient(t, options).UploadTarget(t.Context())
	require.NoError(t, err)
	require.Equal(t, "me", target.Username)
	require.Equal(t, " with space ", target.Password)
	require.NotContains(t, fmt.Sprintf("%v %+v %s", client, target, client), "with space")
}

func TestCanonical(t *testing.T) {
	const root = "https://hub.example:8443"
	for _, c := range []struct{ name, root, link, want, says string }{
		{"own", root, root + "/api/projects/1", root + "/api/projects/1", ""},
		{"another host", root, "https://internal/api/projects/1", root + "/api/projects/1", ""},
		{"plain http", root, "http://internal:8080/api/projects/1", root + "/api/projects/1", ""},
		{"path only", root, "/api/projects/1", root + "/api/projects/1", ""},
		{"query dropped", root, root + "/api/projects/1?x=y#z", root + "/api/projects/1", ""},
		{"slash dropped", root, root + "/api/projects/1/", root + "/api/projects/1", ""},
		{"prefix added", root + "/hub/", "https://internal/api/projects/1", root + "/hub/api/projects/1", ""},
		{"prefix kept", root + "/hub", root + "/hub/api/projects/1", root + "/hub/api/projects/1", ""},
		{"escapes kept", root, root + "/api/x/a%2Fb", root + "/api/x/a%2Fb", ""},
		{"not the api", root, root + "/internal/x", "", "want an address under /api/"},
		{"above", root, root + "/api/../internal", "", "want an address under /api/"},
		{"above, hidden", root, root + "/api/%2e%2e/internal", "", "want an address under /api/"},
		{"credentials", root, "https://a:b@internal/api/x", "", "holds credentials"},
		{"empty", root, "", "", "want an address under /api/"},
		{"no url", root, ":%", "", "is not a URL"},
		{"opaque", root, "urn:uuid:1", "", "is not a URL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := blackduck.Canonical(c.root, c.link)
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}
