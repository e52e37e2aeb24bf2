//go:build e2e

package e2e_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
)

// updateReasons writes testdata/reasons.txt again.
var updateReasons = flag.Bool("update-reasons", false, "write testdata/reasons.txt again")

// The limits of the worker that gets bad input.
const (
	badListTimeout = "20s"
	badMemory      = "600MiB"
	badScratch     = 64 << 20
)

// TestBadInput scans what cannot be scanned. Each ends in a class, in a reason a person understands, in exit code 2, and
// leaves nothing behind. testdata/reasons.txt is to be read as a whole when a word is changed.
func TestBadInput(t *testing.T) {
	d := &badInput{dev: startDev(t, "--hub-scan-time", "2s"), strict: strictRegistry(t)}
	d.LoadComplete(t)
	outside := t.TempDir()
	d.pushBad(t, outside)
	// A number of seconds by which our sleepers are known from all others.
	sleep := fmt.Sprint(1_000_000 + os.Getpid())
	between := d.standBetween(t)
	d.badWorker(t, sleep, between.url)
	golden := newReasons(t)
	t.Run("images", func(t *testing.T) { d.badImages(t, golden, outside) })
	d.leavesNothing(t, sleep)
	t.Run("hub replies", func(t *testing.T) { d.badReplies(t, golden, between) })
	t.Run("records", d.badRecords)
	d.leavesNothing(t, sleep)
	golden.finish(t)
}

// badInput is the system that gets bad input.
type badInput struct {
	*dev
	// strict is the host of a registry that lets no login in.
	strict string
}

// leavesNothing waits until no workspace is in use and no lease is held, and then finds neither a tar nor a child. Images that
// failed are tried again now and then, so there is work in between.
func (d *badInput) leavesNothing(t *testing.T, sleep string) {
	t.Helper()
	rig.Eventually(t, 2*time.Minute, "workspaces, scan clients and leases to be gone", func() bool {
		status, err := d.Starter.Pool.Status(t.Context())
		return err == nil && len(status.Leases) == 0 && len(status.Waiters) == 0 && d.workspaces(t) == 0 && rig.ScanClients(t, d.Directory) == 0
	})
	for _, mark := range []string{sleep, floodMark, eatMark, linesMark} {
		require.Zero(t, rig.ProcessesWith(t, mark), "a child of a scan client has outlived it: %s", mark)
	}
	require.Empty(t, d.tars(t))
}

// badWorker starts the one worker, which speaks to the hub by way of the address.
func (d *badInput) badWorker(t *testing.T, sleep, hub string) {
	t.Helper()
	directory := t.TempDir()
	password := filepath.Join(directory, "password")
	require.NoError(t, os.WriteFile(password, []byte("not-the-password"), 0o600))
	config := filepath.Join(directory, "perceptor.yaml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `hubs:
- {name: main, url: '%s', limit: 2, token-file: %s/hub-token, insecure: true}
credentials:
- {name: wrong, username: olga, password-file: %s, hosts: ['%s']}
`, hub, d.Directory, password, d.strict), 0o600))
	d.StartWorker(t, 0, "--config", config, "--scan-client", badClient(t, sleep), "--workspaces", "8",
		"--sbom-timeout", badListTimeout, "--scan-memory", badMemory, "--scan-scratch", fmt.Sprint(badScratch))
}

// badImage is a reference, and how it must end.
type badImage struct {
	name, reference string
	flags           []string
	class           model.FailureClass
}

// badImages scans all bad images at once and compares what is said with the golden list.
func (d *badInput) badImages(t *testing.T, golden *reasons, outside string) {
	for _, row := range d.badList(t) {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			result, code := d.scan(t, row.reference, row.flags...)
			require.Equal(t, exitTrouble, code)
			require.Equal(t, row.class, result.Class, result.Error)
			golden.compare(t, row.name, result.Class, d.normal(result.Error))
		})
	}
	t.Run("paths that lead outside", func(t *testing.T) {
		t.Parallel()
		result, code := d.scan(t, d.Registry+"/good/outside:1")
		require.Equal(t, exitOK, code)
		require.Equal(t, 1, result.Verdicts[0].Components)
		found, err := os.ReadDir(outside)
		require.NoError(t, err)
		require.Empty(t, found, "nothing is written outside")
	})
}

func (d *badInput) badList(t *testing.T) []badImage {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	unused := listener.Addr().String()
	require.NoError(t, listener.Close())
	_, flipped := d.pushImage(t, "bad/corrupt-layer", plain(t, "corrupt layer"))
	_, short := d.pushImage(t, "bad/cut-layer", plain(t, "cut layer"))
	other := plain(t, "corrupt manifest")
	d.pushImage(t, "bad/corrupt-manifest", other)
	sum, err := other.Digest()
	require.NoError(t, err)
	spoiling := d.spoilingRegistry(t, spoiled{flipped.String(): flip, short.String(): cut, sum.String(): flip})
	rows := []badImage{
		{"unknown host", "registry.invalid/app:1", nil, model.Transient},
		{"no server", unused + "/app:1", nil, model.Transient},
		{"no such image", d.Registry + "/bad/missing:1", nil, model.NotFound},
		{"no such credentials", d.Registry + "/bad/bomb:1", []string{"--credential", "unheard-of"}, model.Unauthorized},
		{"wrong credentials", d.strict + "/app:1", []string{"--credential", "wrong"}, model.Unauthorized},
		{"private", strictRegistry(t) + "/app:1", nil, model.Unauthorized},
		{"no reference", "UPPER CASE", nil, model.Invalid},
		{"other platform only", d.Registry + "/bad/other-platform:1", []string{"--platform", "linux/amd64"}, model.Unsupported},
		{"manifest of another digest", spoiling + "/bad/corrupt-manifest@" + sum.String(), nil, model.Invalid},
		{"layer of another digest", spoiling + "/bad/corrupt-layer:1", nil, model.Invalid},
		{"layer cut short", spoiling + "/bad/cut-layer:1", nil, model.Invalid},
		{"truncated tar", d.Registry + "/bad/truncated-tar:1", nil, model.Invalid},
		{"zip bomb", d.Registry + "/bad/bomb:1", nil, model.Invalid},
	}
	for _, each := range badClients {
		name := "scan client " + strings.ReplaceAll(strings.TrimPrefix(each.repository, "bad/"), "-", " ")
		rows = append(rows, badImage{name, d.Registry + "/" + each.repository + ":1", nil, model.Invalid})
	}
	return rows
}

// What differs between two runs.
var varying = []struct {
	what *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`sha256:[0-9a-f]{64}`), "DIGEST"},
	{regexp.MustCompile(rig.WorkspacesDirectory + `/[0-9a-f]{64}[^/]+/`), "workspaces/WORKSPACE/"},
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`next try \d{4}-\d\d-\d\d \d\d:\d\d:\d\d`), "next try TIME"},
	{regexp.MustCompile(`\([0-9.]+ [KMG]iB in use\)`), "(SIZE in use)"},
	{regexp.MustCompile(`\d+ bytes in the registry and \d+ in the manifest`), "N bytes in the registry and M in the manifest"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "HOST"},
}

// normal is a reason without what differs between two runs.
func (d *badInput) normal(reason string) string {
	for _, each := range varying {
		reason = each.what.ReplaceAllString(reason, each.as)
	}
	return strings.ReplaceAll(reason, d.Directory, "DIRECTORY")
}

// tars finds what pulls and scan clients may leave below the scanner's directory, its cache of whole layers left out.
func (d *badInput) tars(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{"*.tar", "*.partial", "*/*.tar", "*/*.partial", "*/*/*.tar", "*/*/*.partial"} {
		some, err := filepath.Glob(filepath.Join(d.ScannerDirectory(0), pattern))
		require.NoError(t, err)
		found = append(found, some...)
	}
	return found
}

// here is the platform of this machine's images.
var here = v1.Platform{OS: "linux", Architecture: runtime.GOARCH}

// assemble makes an image of layers.
func assemble(t *testing.T, platform v1.Platform, layers ...v1.Layer) v1.Image {
	t.Helper()
	made, err := mutate.AppendLayers(empty.Image, layers...)
	require.NoError(t, err)
	config, err := made.ConfigFile()
	require.NoError(t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture = platform.OS, platform.Architecture
	made, err = mutate.ConfigFile(made, config)
	require.NoError(t, err)
	return made
}

// pushImage puts an image into the registry and answers with its reference and its one layer's digest.
func (d *dev) pushImage(t *testing.T, repository string, made v1.Image) (string, v1.Hash) {
	t.Helper()
	reference, err := name.ParseReference(d.Registry + "/" + repository + ":1")
	require.NoError(t, err)
	require.NoError(t, remote.Write(reference, made))
	layers, err := made.Layers()
	require.NoError(t, err)
	sum, err := layers[0].Digest()
	require.NoError(t, err)
	return reference.String(), sum
}

// layerOf packs a layer's tar as registries hold it.
func layerOf(t *testing.T, content []byte) v1.Layer {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write(content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil })
	require.NoError(t, err)
	return layer
}

// tarOf is a layer's own tar.
func tarOf(t *testing.T, entries ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, header := range entries {
		content := make([]byte, header.Size)
		copy(content, header.PAXRecords["PERCEPTOR.content"])
		header.Mode, header.PAXRecords, header.Format = 0o644, nil, tar.FormatPAX
		require.NoError(t, w.WriteHeader(&header))
		_, err := w.Write(content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

// file is an entry with content.
func file(path, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: path, Size: int64(len(content)), PAXRecords: map[string]string{"PERCEPTOR.content": content}}
}

// leftPad is one package for a scan client to find.
func leftPad() tar.Header {
	return file("app/node_modules/left-pad/package.json", `{"name":"left-pad","version":"1.3.0"}`)
}

// plain is a good image of its own; its name makes it differ from all others.
func plain(t *testing.T, name string) v1.Image {
	t.Helper()
	return assemble(t, here, layerOf(t, tarOf(t, file("name", name), leftPad())))
}

// pushBad puts images into the registry that are bad in themselves.
func (d *badInput) pushBad(t *testing.T, outside string) {
	t.Helper()
	whole := tarOf(t, leftPad(), file("big", strings.Repeat("perceptor ", 10_000)))
	up := strings.Repeat("../", 20)
	link := tar.Header{Typeflag: tar.TypeSymlink, Name: "out", Linkname: outside}
	for repository, layer := range map[string][]byte{
		"bad/truncated-tar": whole[:len(whole)/2],
		"bad/bomb":          tarOf(t, leftPad(), tar.Header{Typeflag: tar.TypeReg, Name: "zeros", Size: 4 * badScratch}),
		"good/outside": tarOf(t, leftPad(), file(up+outside+"/up", "evil"), file("a/"+up+outside+"/upper", "evil"),
			file(outside+"/absolute", "evil"), link, file("out/linked", "evil")),
	} {
		d.pushImage(t, repository, assemble(t, here, layerOf(t, layer)))
	}
	for _, each := range badClients {
		d.pushImage(t, each.repository, plain(t, each.repository))
	}
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{
		Add:        assemble(t, v1.Platform{OS: "linux", Architecture: "s390x"}, layerOf(t, whole)),
		Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "s390x"}},
	})
	reference, err := name.ParseReference(d.Registry + "/bad/other-platform:1")
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(reference, index))
}

// strictRegistry is a registry that wants a login that no one has.
func strictRegistry(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="strict"`)
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}`, http.StatusUnauthorized)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// spoiled are contents that a registry sends otherwise than it should, by the last part of their paths.
type spoiled map[string]func([]byte) []byte

func flip(content []byte) []byte { content[len(content)/2] ^= 1; return content }
func cut(content []byte) []byte  { return content[:len(content)/2] }

// spoilingRegistry is the registry behind a proxy that spoils some of its contents.
func (d *badInput) spoilingRegistry(t *testing.T, what spoiled) string {
	t.Helper()
	behind, err := url.Parse("http://" + d.Registry)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(behind)
	proxy.ModifyResponse = func(r *http.Response) error {
		spoil, is := what[filepath.Base(r.Request.URL.Path)]
		if !is || r.Request.Method != http.MethodGet {
			return nil
		}
		content, err := io.ReadAll(r.Body)
		if err != nil {
			return fmt.Errorf("read what is to be spoiled: %w", err)
		}
		content = spoil(content)
		r.Body = io.NopCloser(bytes.NewReader(content))
		r.ContentLength = int64(len(content))
		r.Header.Set("Content-Length", strconv.Itoa(len(content)))
		return nil
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// What the children of misbehaving scan clients are known by.
const (
	floodMark = "PERCEPTOR-FLOOD"
	eatMark   = "8765432109"
	linesMark = `{"phase":"unpack","done":1,"total":2}`
)

// badClients are scan clients that misbehave, each for the images of one repository.
var badClients = []struct{ repository, script string }{
	{"bad/hangs", "exec sleep SLEEP"},
	{"bad/forks", "for i in 1 2 3 4 5 6 7 8; do setsid sleep SLEEP & sleep SLEEP & done; exec sleep SLEEP"},
	{"bad/floods", "exec yes '" + linesMark + "'"},
	{"bad/floods-log", "yes " + floodMark + " >&2; exit 3"},
	{"bad/eats", "head -c " + eatMark + " /dev/zero | tail >/dev/null"},
	{"bad/silent", "exit 0"},
	{"bad/no-document", `echo '{"result":{"components":1,"sbomBytes":10}}'`},
	{"bad/crashes", "echo lost my mind >&2; kill -SEGV $$"},
}

// badClient is the true scan client, but for the repositories of badClients.
func badClient(t *testing.T, sleep string) string {
	t.Helper()
	client := rig.Built(t, "perceptor-scan")
	script := "#!/bin/sh\ncase \"$*\" in\n"
	for _, each := range badClients {
		script += fmt.Sprintf("sbom*'/%s '*)\n%s\nexit ;;\n", each.repository, strings.ReplaceAll(each.script, "SLEEP", sleep))
	}
	script += fmt.Sprintf("esac\nexec %s \"$@\"\n", client)
	path := filepath.Join(t.TempDir(), "bad-client")
	require.NoError(t, os.WriteFile(path, []byte(script), 0o700))
	return path
}

// reasonsFile holds a line for each kind of bad input: its name, the class and what a person reads.
var reasonsFile = filepath.Join("testdata", "reasons.txt")

// reasons are the golden list, and what was said this time.
type reasons struct {
	golden map[string]string
	lock   sync.Mutex
	said   map[string]string
}

func newReasons(t *testing.T) *reasons {
	t.Helper()
	r := &reasons{golden: map[string]string{}, said: map[string]string{}}
	text, err := os.ReadFile(reasonsFile)
	if !*updateReasons {
		require.NoError(t, err)
	}
	for line := range strings.Lines(string(text)) {
		name, says, found := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		require.True(t, found, line)
		r.golden[name] = says
	}
	return r
}

// compare takes what was said of one kind of bad input and compares it with the list.
func (r *reasons) compare(t *testing.T, name string, class model.FailureClass, reason string) {
	t.Helper()
	says := fmt.Sprintf("%s: %s", class, reason)
	r.lock.Lock()
	r.said[name] = says
	r.lock.Unlock()
	if !*updateReasons {
		require.Equal(t, r.golden[name], says, "if the new words are better, write %s again with -update-reasons", reasonsFile)
	}
}

// finish writes the list again with -update-reasons. Without it, each line must have come up.
func (r *reasons) finish(t *testing.T) {
	t.Helper()
	if !*updateReasons {
		require.ElementsMatch(t, slices.Collect(maps.Keys(r.golden)), slices.Collect(maps.Keys(r.said)))
		return
	}
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(r.said)) {
		fmt.Fprintf(&text, "%s: %s\n", name, r.said[name])
	}
	require.NoError(t, os.MkdirAll(filepath.Dir(reasonsFile), 0o755))
	require.NoError(t, os.WriteFile(reasonsFile, []byte(text.String()), 0o644))
}

// middleman stands between the worker and the hub and gives other replies than the hub's for a while.
type middleman struct {
	url  string
	lock sync.Mutex
	// wrong is the fault at work, nil for none.
	wrong *wrongReplies
	// uploads counts uploads the hub has accepted.
	uploads int
}

// wrongReplies is a fault that ends by itself.
type wrongReplies struct {
	reply http.HandlerFunc
	// afterUpload lets it begin when the hub has accepted an upload; otherwise it begins at once.
	afterUpload bool
	// toUpload lets it hit the answer to an upload, which the hub has accepted, and nothing else.
	toUpload bool
	// lasts is for how long after the first reply others are given.
	lasts time.Duration

	began time.Time
	hits  int
}

// standBetween starts a middleman that lets everything pass.
func (d *badInput) standBetween(t *testing.T) *middleman {
	t.Helper()
	hub, err := url.Parse("https://" + d.Hub)
	require.NoError(t, err)
	m := &middleman{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(hub)
			r.Out.Host = r.In.Host // the hub's links must lead here
			r.Out.Header.Del("Expect")
		},
		Transport: d.HubClient.Transport,
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.serve(proxy, w, r) }))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	m.url = server.URL
	return m
}

func (m *middleman) serve(hub http.Handler, w http.ResponseWriter, r *http.Request) {
	upload := r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/api/scan/data")
	if !upload {
		if wrong := m.instead(r); wrong != nil {
			wrong(w, r)
			return
		}
		hub.ServeHTTP(w, r)
		return
	}
	answer := httptest.NewRecorder()
	hub.ServeHTTP(answer, r)
	if wrong := m.uploaded(answer.Code); wrong != nil {
		wrong(w, r)
		return
	}
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// instead is the reply to give in place of the hub's, nil for the hub's own. Logins are left alone.
func (m *middleman) instead(r *http.Request) http.HandlerFunc {
	m.lock.Lock()
	defer m.lock.Unlock()
	f := m.wrong
	if f == nil || f.toUpload || f.afterUpload && m.uploads == 0 || strings.HasPrefix(r.URL.Path, "/api/tokens") {
		return nil
	}
	if f.began.IsZero() {
		f.began = time.Now()
	}
	if time.Since(f.began) > f.lasts {
		return nil
	}
	f.hits++
	return f.reply
}

// uploaded counts an upload, and says what to answer in place of the hub.
func (m *middleman) uploaded(status int) http.HandlerFunc {
	m.lock.Lock()
	defer m.lock.Unlock()
	if status/100 != 2 {
		return nil
	}
	m.uploads++
	if f := m.wrong; f != nil && f.toUpload && f.hits == 0 {
		f.hits++
		return f.reply
	}
	return nil
}

// misbehave puts a fault to work, nil for none.
func (m *middleman) misbehave(f *wrongReplies) {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.wrong, m.uploads = f, 0
}

func (m *middleman) hits() int {
	m.lock.Lock()
	defer m.lock.Unlock()
	return m.wrong.hits
}

// says answers every request alike.
func says(status int, kind, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
	}
}

const (
	someJSON = "application/json"
	somePage = "<!DOCTYPE html><html><body><h1>Starting</h1></body></html>"
	// briefly is longer than one step's own retries, which take three seconds.
	briefly = 4 * time.Second
)

// badReplies lets the hub's replies be wrong for a while, image by image. Each is complete when that is over, or fails
// with the class and reason on the list; the hub has in any case scanned each exactly once.
func (d *badInput) badReplies(t *testing.T, golden *reasons, between *middleman) {
	for _, row := range []struct {
		name  string
		fault wrongReplies
		// class is empty where the scan just takes longer.
		class model.FailureClass
	}{
		{"empty at first", wrongReplies{reply: says(200, someJSON, ""), lasts: briefly}, ""},
		{"page in the middle", wrongReplies{reply: says(200, "text/html", somePage), afterUpload: true, lasts: briefly}, ""},
		{"401 in the middle", wrongReplies{reply: says(401, someJSON, `{"errorCode":"unauthorized"}`), afterUpload: true, lasts: briefly}, ""},
		{"429 in the middle", wrongReplies{reply: says(429, someJSON, "{}", "Retry-After", "1"), afterUpload: true, lasts: briefly}, ""},
		{"429 at first", wrongReplies{reply: says(429, someJSON, "{}"), lasts: briefly}, ""},
		{"wrong shape at first", wrongReplies{reply: says(200, someJSON, `{"items":"many","totalCount":[]}`), lasts: briefly}, ""},
		{"wrong shape in the middle", wrongReplies{reply: says(200, someJSON, `["scan"]`), afterUpload: true, lasts: briefly}, model.Invalid},
		{"no answer to the upload", wrongReplies{reply: says(200, "text/html", somePage), toUpload: true}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			reference, _ := d.pushImage(t, "replies/"+strings.ReplaceAll(row.name, " ", "-"), plain(t, row.name))
			between.misbehave(&row.fault)
			result, code := d.scan(t, reference)
			require.NotZero(t, between.hits(), "the fault has hit")
			if row.class != "" {
				require.Equal(t, exitTrouble, code)
				require.Equal(t, row.class, result.Class, result.Error)
				golden.compare(t, "hub reply, "+row.name, result.Class, d.normal(result.Error))
				between.misbehave(nil)
				result, code = d.scan(t, reference)
			}
			d.scannedOnce(t, result, code)
			between.misbehave(nil)
		})
	}
}

func (d *badInput) scannedOnce(t *testing.T, result scanResult, code int) {
	t.Helper()
	require.Equal(t, exitOK, code, result.Error)
	require.Len(t, result.Verdicts, 1)
	require.Equal(t, 1, result.Verdicts[0].Components)
	require.Equal(t, 1, d.Stats(t).ScansByName[result.Digest.Hex()], "successful scans at the hub")
}

// badRecords loads records of which some are none: they are named, counted and left out, and the others are loaded.
func (d *badInput) badRecords(t *testing.T) {
	directory := t.TempDir()
	good := record{id: invented + "00001", ecosystem: "Debian:12", source: "perceptor-sample", introduced: "0"}
	for file, text := range map[string]string{
		"good.json": string(good.text(t)), "not-json.json": `{"id":`, "no-id.json": `{"modified":"2026-01-01T00:00:00Z"}`,
		"bad-shape.json": `["X-1"]`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(directory, file), []byte(text), 0o600))
	}
	var before, after struct {
		Records int `json:"records"`
	}
	d.internal(t, "/internal/vulnerability-data", &before)
	done := d.perceptor(t, "hub", "update", "--from", directory, "--mode", "merge")
	require.Zero(t, done.Code, done.Stderr)
	require.Contains(t, done.Stdout, "1 records loaded, 3 malformed records skipped")
	for _, file := range []string{"not-json.json", "no-id.json", "bad-shape.json"} {
		require.Contains(t, done.Stderr, file)
	}
	d.internal(t, "/internal/vulnerability-data", &after)
	require.Equal(t, before.Records+1, after.Records)

	require.NoError(t, os.Remove(filepath.Join(directory, "good.json")))
	done = d.perceptor(t, "hub", "update", "--from", directory, "--mode", "replace")
	require.Equal(t, exitTrouble, done.Code, done.Stdout)
	require.Contains(t, done.Stderr, "holds no OSV record (3 malformed)")
	d.internal(t, "/internal/vulnerability-data", &after)
	require.Equal(t, before.Records+1, after.Records, "what was there stays")
}
