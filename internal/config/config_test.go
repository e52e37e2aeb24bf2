package config_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/config"
)

const whole = `
hubs:
  - name: main
    url: https://hub.example:8443
    token-file: /run/secrets/token
    limit: 3
    rate: 20
    settle: 60s
scanner:
  domain: eu
  workspaces: 2
  cache-limit: 10GiB
  client: {memory: 512MiB, sbom-timeout: 10m}
registries:
  - {host: "registry.example:5000", plain-http: true}
credentials:
  - {name: team-a, username: a, password-file: /run/secrets/a, hosts: ["registry.example:5000"]}
`

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "perceptor.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestFileThenEnvironmentThenFlags(t *testing.T) {
	file := write(t, whole)
	c, err := config.Load(file, nil)
	require.NoError(t, err)
	require.Equal(t, "main", c.Hubs[0].Name)
	require.Equal(t, time.Minute, c.Hubs[0].Settle)
	require.Equal(t, config.Bytes(10<<30), c.Scanner.CacheLimit)
	require.Equal(t, config.Bytes(512<<20), c.Scanner.Client.Memory)
	require.Equal(t, 10*time.Minute, c.Scanner.Client.SBOMTimeout)
	require.Equal(t, "registry.example:5000", c.Registries[0].Host)
	require.Equal(t, 30*time.Minute, c.Scanner.Drain, "a value that is not set keeps its default")

	t.Setenv("PERCEPTOR_SCANNER_WORKSPACES", "5")
	t.Setenv("PERCEPTOR_SCANNER_CLIENT_MEMORY", "1GiB")
	c, err = config.Load(file, nil)
	require.NoError(t, err)
	require.Equal(t, 5, c.Scanner.Workspaces)
	require.Equal(t, config.Bytes(1<<30), c.Scanner.Client.Memory)

	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	flags.Int("workspaces", 0, "")
	flags.Duration("drain", 0, "")
	require.NoError(t, flags.Parse([]string{"--workspaces", "7", "--drain", "1s"}))
	c, err = config.Load(file, flags)
	require.NoError(t, err)
	require.Equal(t, 7, c.Scanner.Workspaces)
	require.Equal(t, time.Second, c.Scanner.Drain)
}

func TestAScannerOfSomeoneElse(t *testing.T) {
	c, err := config.Load(write(t, `scanner: {client: {template: [trivy, image, --input, "{tar}", --output, "{sbom}"], data-as-of: {file: /db/metadata.json, key: UpdatedAt}}}`), nil)
	require.NoError(t, err)
	require.Equal(t, []string{"trivy", "image", "--input", "{tar}", "--output", "{sbom}"}, c.Scanner.Client.Template)
	require.Equal(t, config.DataAsOf{File: "/db/metadata.json", Key: "UpdatedAt"}, c.Scanner.Client.DataAsOf)
	_, err = config.Load(write(t, `scanner: {client: {data-as-of: {file: /db/metadata.json}}}`), nil)
	require.ErrorContains(t, err, "data-as-of goes together with template")
}

func TestWithoutAFileEverythingHasADefault(t *testing.T) {
	c, err := config.Load("", nil)
	require.NoError(t, err)
	require.Equal(t, config.Default(), c)
}

func TestAllMistakesAreReportedAtOnce(t *testing.T) {
	_, err := config.Load(write(t, `
hubs:
  - {name: Main Hub, url: "http://hub.example", limit: 0}
  - {name: b, url: "https://hub.example", limit: 1, token-file: t, rate: -1}
  - {name: b, url: "https://hub.example", limit: 1, token-file: t}
scanner: {workspaces: 0, client: {template: [trivy, "{tar}"], data-as-of: {key: UpdatedAt}}}
credentials: [{name: x}, {name: y, docker-config: f}]
registries: [{plain-http: true}]
`), nil)
	for _, mistake := range []string{
		"a name has up to 63", "want https://", "limit is 0", "give either token-file", "must not be negative", "two have the name", "workspaces is 0",
		"template lacks {sbom}", "give either file or command",
		`"x": give either docker-config`, `"y": hosts is missing`, "host is missing",
	} {
		require.ErrorContains(t, err, mistake)
	}
}

func TestWrongFiles(t *testing.T) {
	for name, each := range map[string]struct{ text, says string }{
		"unknown key":  {"scaner: {workspaces: 1}", "scaner"},
		"no yaml":      {"{", "read configuration"},
		"size":         {"scanner: {cache-limit: huge}", "want a number with a unit"},
		"duration":     {"scanner: {drain: soon}", "drain"},
		"wrong type":   {"hubs: 7", "hubs"},
		"number in it": {"scanner: {workspaces: many}", "workspaces"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load(write(t, each.text), nil)
			require.ErrorContains(t, err, each.says)
		})
	}
	_, err := config.Load(filepath.Join(t.TempDir(), "missing.yaml"), nil)
	require.ErrorContains(t, err, "missing.yaml")
}

func TestListsComeFromAllThree(t *testing.T) {
	file := write(t, "perceiver: {cluster: prod, kubernetes: {namespaces: [a, b], rate: 20}}")
	c, err := config.Load(file, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, c.Perceiver.Kubernetes.Namespaces)
	require.InDelta(t, 20, c.Perceiver.Kubernetes.Rate, 0)
	require.NotEmpty(t, c.Perceiver.IgnoredImages, "a value that is not set keeps its default")

	t.Setenv("PERCEPTOR_PERCEIVER_KUBERNETES_NAMESPACES", "c,d")
	t.Setenv("PERCEPTOR_PERCEIVER_OBSERVE_ONLY", "true")
	c, err = config.Load(file, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"c", "d"}, c.Perceiver.Kubernetes.Namespaces)
	require.True(t, c.Perceiver.ObserveOnly)

	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	flags.StringSlice("namespaces", nil, "")
	flags.StringSlice("ignore-images", nil, "")
	require.NoError(t, flags.Parse([]string{"--namespaces", "e,f", "--namespaces", "g", "--ignore-images", ""}))
	c, err = config.Load(file, flags)
	require.NoError(t, err)
	require.Equal(t, []string{"e", "f", "g"}, c.Perceiver.Kubernetes.Namespaces)
	require.Empty(t, c.Perceiver.IgnoredImages)
}

// TestScannersOfOthers: what would only show when a scanner asks is a mistake at the start.
func TestScannersOfOthers(t *testing.T) {
	const hubs = "hubs:\n" +
		"- {name: main, url: 'https://hub.example', limit: 1, username: u, password-file: p}\n- {name: token, url: 'https://hub.example', limit: 1, token-file: t}\napi: "
	for text, says := range map[string]string{
		"{scanner-hubs: [none]}":                                                              `no hub "none"`,
		"{scanner-hubs: [token]}":                                                             "needs username and password-file",
		"{scanner-hubs: [main], scanner-silence: 5s}":                                         "want 10s to 24h",
		"{scanner-hubs: [main], scanner-silence: 48h}":                                        "want 10s to 24h",
		"{scanner-hubs: [main], scanner-domain: A/B}":                                         "scanner-domain",
		"{scanner-hubs: [main, token], generation: old}":                                      "have one hub",
		"{compat-address: '0.0.0.0:3001'}":                                                    "needs compat-cluster",
		"{compat-address: '0.0.0.0:3001', compat-cluster: '*'}":                               "want up to 63",
		"{compat-cluster: prod}":                                                              "go together with compat-address",
		"{compat-address: a, compat-cluster: b, compat-scanners: true}":                       "needs scanner-hubs",
		"{scanner-hubs: [main]}":                                                              "",
		"{scanner-hubs: [token], generation: old}":                                            "",
		"{compat-address: a, compat-cluster: b, compat-scanners: true, scanner-hubs: [main]}": "",
	} {
		_, err := config.Load(write(t, hubs+text), nil)
		if says == "" {
			require.NoError(t, err, text)
			continue
		}
		require.ErrorContains(t, err, says, text)
	}
}
