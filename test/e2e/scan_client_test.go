//go:build e2e

package e2e_test

import (
	"archive/zip"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/rig"
)

// TestScanClientArchive does what a scanner of 2018 does with a hub: it logs in with the password, downloads the scan client, unpacks it,
// and starts what is where Java should be, with nothing but the password in its environment.
func TestScanClientArchive(t *testing.T) {
	address, directory := rig.FreeAddress(t), t.TempDir()
	rig.Start(t, "perceptor", nil, "hub", "serve", "--directory", directory, "--address", address, "--generation", "old", "--updates", "off")
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	hub := &http.Client{Jar: jar, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // as in 2018
	var password []byte
	rig.Eventually(t, time.Minute, "the hub to take the login", func() bool {
		if password, err = os.ReadFile(filepath.Join(directory, "hub-password")); err != nil {
			return false
		}
		password = bytes.TrimSpace(password)
		login, err := hub.PostForm("https://"+address+"/j_spring_security_check", url.Values{"j_username": {"sysadmin"}, "j_password": {string(password)}})
		if err != nil {
			return false
		}
		_ = login.Body.Close()
		return login.StatusCode == http.StatusNoContent
	})
	var version struct{ Version string }
	require.NoError(t, json.Unmarshal(download(t, hub, "https://"+address+"/api/current-version"), &version))
	unpack(t, download(t, hub, "https://"+address+"/download/scan.cli.zip"), directory)
	client := filepath.Join(directory, "scan.cli-"+version.Version)

	layer, err := crane.Layer(map[string][]byte{"app/node_modules/left-pad/package.json": []byte(`{"name":"left-pad","version":"1.3.0"}`)})
	require.NoError(t, err)
	image, err := mutate.AppendLayers(empty.Image, layer)
	require.NoError(t, err)
	tag, err := name.NewTag("registry.example/app:1")
	require.NoError(t, err)
	tar := filepath.Join(directory, "image.tar")
	require.NoError(t, tarball.WriteToFile(tar, tag, image))

	host, port, _ := strings.Cut(address, ":")
	command := exec.Command(filepath.Join(client, "jre", "bin", "java"), "-Xms512m", "-Xmx4096m", "-Done-jar.silent=true",
		"-Done-jar.jar.path="+filepath.Join(client, "lib/cache/scan.cli.impl-standalone.jar"), "-jar", filepath.Join(client, "lib/scan.cli-"+version.Version+"-standalone.jar"),
		"--host", host, "--port", port, "--scheme", "https", "--project", "registry.example/app", "--release", "1", "--username", "sysadmin", "--name", "0123",
		"--insecure", "-v", tar)
	command.Env = []string{"BD_HUB_PASSWORD=" + string(password)}
	output, err := command.CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.NotContains(t, string(output), string(password))
	rig.Eventually(t, time.Minute, "the scan at the hub", func() bool {
		return bytes.Contains(download(t, hub, "https://"+address+"/api/codelocations?q=name:0123"), []byte(`"mappedProjectVersion"`))
	})

	command = exec.Command(command.Path, command.Args[1:]...)
	command.Env = []string{"BD_HUB_PASSWORD=wrong"}
	output, err = command.CombinedOutput()
	require.Error(t, err, "%s", output)
	require.Equal(t, 77, command.ProcessState.ExitCode(), "%s", output)
}

func download(t *testing.T, c *http.Client, address string) []byte {
	t.Helper()
	answer, err := c.Get(address)
	require.NoError(t, err)
	defer answer.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.StatusCode, "%s", address)
	return body
}

func unpack(t *testing.T, packed []byte, directory string) {
	t.Helper()
	archive, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	require.NoError(t, err)
	for _, each := range archive.File {
		content, err := each.Open()
		require.NoError(t, err)
		text, err := io.ReadAll(content)
		require.NoError(t, err)
		path := filepath.Join(directory, filepath.FromSlash(each.Name)) // from our own hub
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, text, each.Mode()))
	}
}
