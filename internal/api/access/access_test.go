package access_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/api/access"
)

var discard = slog.New(slog.DiscardHandler)

const (
	first  = "first-token-0123456789"
	second = "second-token-0123456789"
)

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	scratch := path + ".new"
	require.NoError(t, os.WriteFile(scratch, []byte(text), mode))
	require.NoError(t, os.Chmod(scratch, mode))
	require.NoError(t, os.Rename(scratch, path))
}

func open(t *testing.T, text string) (*access.Tokens, string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens")
	write(t, path, text, 0o600)
	tokens, err := access.OpenTokens(path, discard)
	return tokens, path, err
}

func TestTokens(t *testing.T) {
	sum := sha256.Sum256([]byte(second))
	tokens, _, err := open(t, `
tokens:
  - {scope: reader, token: `+first+`}
  - {name: olga, scope: operator, cluster: "*", sha256: `+hex.EncodeToString(sum[:])+`}`)
	require.NoError(t, err)
	grant, found := tokens.Find(first)
	require.True(t, found)
	require.Equal(t, access.Grant{Name: "reader", Scope: access.Reader, Cluster: "default"}, grant)
	grant, found = tokens.Find(second)
	require.True(t, found)
	require.Equal(t, access.Grant{Name: "olga", Scope: access.Operator, Cluster: "*"}, grant)
	for _, wrong := range []string{"", "x", first[:len(first)-1], first + "x", hex.EncodeToString(sum[:])} {
		_, found = tokens.Find(wrong)
		require.False(t, found, wrong)
	}
}

func TestTokensByScope(t *testing.T) {
	tokens, _, err := open(t, `{"perceiver": "`+first+`", "operator": "`+second+`"}`)
	require.NoError(t, err)
	grant, _ := tokens.Find(first)
	require.Equal(t, access.Grant{Name: "perceiver", Scope: access.Perceiver, Cluster: "default"}, grant)
}

func TestTokensThatCannotWork(t *testing.T) {
	for _, row := range []struct{ what, text, wrong string }{
		{"empty", "", "there is none"},
		{"no YAML", "{" + first, "not the form"},
		{"scope", "tokens: [{scope: admin, token: " + first + "}]", "want perceiver, reader, operator or scanner"},
		{"short", "tokens: [{scope: reader, token: short}]", "at least 16"},
		{"neither", "tokens: [{scope: reader}]", "either token or sha256"},
		{"both", "tokens: [{scope: reader, token: " + first + ", sha256: ab}]", "either token or sha256"},
		{"sum", "tokens: [{scope: reader, sha256: abcd}]", "64 hexadecimal"},
		{"perceiver of all", `tokens: [{scope: perceiver, cluster: "*", token: ` + first + "}]", "one cluster"},
		{"scanner of one", `tokens: [{scope: scanner, cluster: prod, token: ` + first + "}]", "every cluster"},
		{"scanner of none", `tokens: [{scope: scanner, token: ` + first + "}]", "every cluster"},
		{"cluster", `tokens: [{scope: perceiver, cluster: "a/b", token: ` + first + "}]", "letters, digits"},
		{"twice", "tokens: [{scope: reader, token: " + first + "}, {scope: operator, token: " + first + "}]", "twice"},
	} {
		t.Run(row.what, func(t *testing.T) {
			_, _, err := open(t, row.text)
			require.ErrorContains(t, err, row.wrong)
			require.NotContains(t, err.Error(), first)
		})
	}
	path := filepath.Join(t.TempDir(), "tokens")
	write(t, path, "reader: "+first, 0o604)
	_, err := access.OpenTokens(path, discard)
	require.ErrorContains(t, err, "chmod 600")
}

func TestTokensAreReadAgain(t *testing.T) {
	tokens, path, err := open(t, "reader: "+first)
	require.NoError(t, err)
	write(t, path, "operator: "+second, 0o600)
	require.Eventually(t, func() bool { _, found := tokens.Find(second); return found }, 30*time.Second, 50*time.Millisecond)
	_, found := tokens.Find(first)
	require.False(t, found)

	write(t, path, "broken", 0o600)
	time.Sleep(1100 * time.Millisecond) // one look later
	_, found = tokens.Find(second)
	require.True(t, found, "a broken file changes nothing")
	require.NoError(t, os.Remove(path))
	_, found = tokens.Find(second)
	require.True(t, found)

	write(t, path, "reader: "+first, 0o600)
	require.Eventually(t, func() bool { _, found := tokens.Find(first); return found }, 30*time.Second, 50*time.Millisecond)
}

func TestFromHeader(t *testing.T) {
	for header, want := range map[string]string{
		"": "", "Bearer": "", "Bearer abc": "abc", "bearer  abc ": "abc", "Token abc": "",
		"Basic eDphYmM=": "abc", "Basic !": "", "Basic YWJj": "",
	} {
		require.Equal(t, want, access.FromHeader(header), header)
	}
}

func certificate(t *testing.T, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	made := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &made, &made, &private.PublicKey, private)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	encode := func(kind string, bytes []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}))
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", keyDER)
}

func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	cert, key := certificate(t, "one")
	write(t, certFile, cert, 0o600)
	write(t, keyFile, key, 0o600)
	config, err := access.ServerTLS(certFile, keyFile, discard)
	require.NoError(t, err)
	shown := func() string {
		got, err := config.GetCertificate(&tls.ClientHelloInfo{})
		require.NoError(t, err)
		return got.Leaf.Subject.CommonName
	}
	require.Equal(t, "one", shown())
	cert, key = certificate(t, "two")
	write(t, certFile, cert, 0o600)
	time.Sleep(1100 * time.Millisecond) // one look later
	require.Equal(t, "one", shown(), "half a change is not taken")
	write(t, keyFile, key, 0o600)
	require.Eventually(t, func() bool { return shown() == "two" }, 30*time.Second, 50*time.Millisecond)
	_, err = access.ServerTLS(keyFile, certFile, discard)
	require.Error(t, err)
}
