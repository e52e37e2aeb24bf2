package main

import (
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/archivetest"
	"github.com/perceptor/perceptor/internal/scanclient"
	"github.com/perceptor/perceptor/internal/scanclient/protocol"
	"github.com/perceptor/perceptor/model"
)

// asProgram makes this test binary the program itself.
const asProgram = "as-program"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == asProgram {
		os.Args = append(os.Args[:1], os.Args[2:]...)
		main()
	}
	os.Exit(m.Run())
}

// program is this binary as the program, by itself.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	return exec.Command(self, append([]string{asProgram}, args...)...)
}

// runner runs this binary as a worker runs the program.
func runner(t *testing.T, change func(*scanclient.Options)) *scanclient.Runner {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	options := scanclient.Options{Command: self, Args: []string{asProgram}}
	if change != nil {
		change(&options)
	}
	r, err := scanclient.New(options)
	require.NoError(t, err)
	return r
}

func listRequest(t *testing.T, tar string) scanclient.SBOMRequest {
	t.Helper()
	dir := t.TempDir()
	return scanclient.SBOMRequest{
		Tar: tar, SBOM: filepath.Join(dir, "image.cdx.json"), Scratch: filepath.Join(dir, "scratch"), Name: "example.com/app", Version: "1.0",
	}
}

func TestAWorkerListsAnImage(t *testing.T) {
	layer := archivetest.Layer(t, archivetest.Entry{Name: "app/node_modules/left-pad/package.json", Body: `{"name":"left-pad","version":"1.3.0"}`})
	req := listRequest(t, archivetest.Write(t, archivetest.Docker(t, archivetest.Gzip, layer)))
	phases := map[string]bool{}
	sbom, err := runner(t, nil).GenerateSBOM(t.Context(), req, func(p scanclient.Progress) { phases[p.Phase] = true })
	require.NoError(t, err)
	require.Equal(t, 1, sbom.Components)
	info, err := os.Stat(req.SBOM)
	require.NoError(t, err)
	require.Equal(t, info.Size(), sbom.SBOMBytes)
	require.Equal(t, map[string]bool{"unpack": true, "catalogue": true, "write": true}, phases)
	require.NoDirExists(t, req.Scratch)
}

func TestAWorkerSurvivesBadImages(t *testing.T) {
	bomb := archivetest.Layer(t, archivetest.Entry{Name: "zeros", Body: string(make([]byte, 16<<20))})
	cases := []struct {
		name, tar string
		class     model.FailureClass
		reason    string
	}{
		{"a zip bomb", archivetest.Write(t, archivetest.Docker(t, archivetest.Gzip, bomb)), model.Invalid, "the image unpacks to more than"},
		{"no image", os.Args[0], model.Invalid, "it is no tar file, or a damaged one"},
		{"a missing tar", "/no/such/image.tar", model.NotFound, "there is no image tar at"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			req := listRequest(t, c.tar)
			_, err := runner(t, func(o *scanclient.Options) { o.ScratchQuota = 1 << 20 }).GenerateSBOM(t.Context(), req, nil)
			var failure *scanclient.Error
			require.ErrorAs(t, err, &failure)
			require.Equal(t, c.class, failure.FailureClass())
			require.Contains(t, failure.Reason, c.reason)
			require.NoDirExists(t, req.Scratch)
			require.NoFileExists(t, req.SBOM)
		})
	}
}

// hub takes the login and hands uploads to a handler.
func hub(t *testing.T, upload http.HandlerFunc) scanclient.UploadRequest {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/tokens/authenticate", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-CSRF-TOKEN", "csrf")
		_, _ = io.WriteString(w, `{"bearerToken":"bearer"}`)
	})
	mux.HandleFunc("POST /api/scan/data", upload)
	server := httptest.NewUnstartedServer(mux)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	dir := t.TempDir()
	req := scanclient.UploadRequest{
		SBOM:    filepath.Join(dir, "image.cdx.json"),
		Target:  model.UploadTarget{Hub: "main", URL: server.URL, CAFile: filepath.Join(dir, "ca.pem"), Token: "token-4711"},
		Names:   model.HubNames{Project: "example.com/app", Version: "1.0", Scan: "0123"},
		Attempt: model.AttemptID{Millis: 12, Counter: 3},
	}
	require.NoError(t, os.WriteFile(req.SBOM, []byte(`{"bomFormat":"CycloneDX","specVersion":"1.6"}`), 0o600))
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	require.NoError(t, os.WriteFile(req.Target.CAFile, certificate, 0o600))
	return req
}

func TestAWorkerUploads(t *testing.T) {
	req := hub(t, func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "12-3", r.Header.Get("X-Perceptor-Attempt"))
		require.Equal(t, "0123", r.FormValue("codeLocationName"))
		w.Header().Set("Location", "/api/scans/17")
		w.WriteHeader(http.StatusCreated)
	})
	uploaded, err := runner(t, nil).Upload(t.Context(), req, nil)
	require.NoError(t, err)
	require.Equal(t, scanclient.Uploaded{ScanID: "17", ScanURL: req.Target.URL + "/api/scans/17"}, uploaded)
}

func TestAWorkerIsToldToWait(t *testing.T) {
	req := hub(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "17")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	_, err := runner(t, nil).Upload(t.Context(), req, nil)
	var failure *scanclient.Error
	require.ErrorAs(t, err, &failure)
	require.Equal(t, model.Throttled, failure.FailureClass())
	require.Equal(t, 17*time.Second, failure.RetryAfter())
	require.True(t, failure.SurelyRefused())
	require.NotContains(t, failure.Error()+failure.Log, "token-4711")
}

func TestTheProgramEndsWhenItsInputCloses(t *testing.T) {
	reached := make(chan struct{})
	req := hub(t, func(_ http.ResponseWriter, r *http.Request) {
		close(reached)
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	cmd := program(t, protocol.VerbUpload, "--sbom", req.SBOM, "--url", req.Target.URL, "--ca-file", req.Target.CAFile,
		"--project", "p", "--version", "v", "--scan-name", "s")
	cmd.Env = []string{protocol.EnvToken + "=token-4711"}
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	<-reached
	require.NoError(t, stdin.Close())
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	require.Equal(t, protocol.ExitParentGone, exit.ExitCode())
}

func TestExitCodes(t *testing.T) {
	upload := []string{"upload", "--sbom", "d", "--url", "https://hub", "--project", "p", "--version", "v", "--scan-name", "s"}
	cases := []struct {
		name string
		args []string
		code int
		says string
	}{
		{"an unknown verb", []string{"dance"}, 64, `"class":"unsupported","message":"unknown command`},
		{"an unknown flag", []string{"sbom", "--dance"}, 64, "unknown flag: --dance"},
		{"a missing flag", []string{"sbom", "--tar", "x"}, 64, `required flag(s) \"sbom\", \"scratch\" not set`},
		{"a wrong attempt", append(upload, "--attempt", "x"), 64, "attempt id"},
		{"a missing tar", []string{"sbom", "--tar", "/no/such", "--sbom", "/no/such", "--scratch", t.TempDir()}, 66, `"class":"not-found"`},
		{"no credentials", upload, 77, "no credentials"},
		{"the version", []string{"version"}, 0, "syft "},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cmd := program(t, c.args...)
			cmd.Env = []string{}
			out, err := cmd.Output()
			require.Contains(t, string(out), c.says)
			if c.code == 0 {
				require.NoError(t, err)
				return
			}
			var exit *exec.ExitError
			require.True(t, errors.As(err, &exit))
			require.Equal(t, c.code, exit.ExitCode())
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			message, err := protocol.Parse([]byte(lines[len(lines)-1]))
			require.NoError(t, err)
			require.NotNil(t, message.Failure)
		})
	}
}

// TestAServingClientListsImagesAndEndsAfterAnOddOne runs the program as a worker that keeps it.
func TestAServingClientListsImagesAndEndsAfterAnOddOne(t *testing.T) {
	kept := t.TempDir()
	r := runner(t, func(o *scanclient.Options) { o.Keep, o.Layers, o.LayersLimit = true, kept, 1<<30 })
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	base := archivetest.Layer(t, archivetest.Entry{Name: "app/node_modules/left-pad/package.json", Body: `{"name":"left-pad","version":"1.3.0"}`})
	more := archivetest.Layer(t, archivetest.Entry{Name: "app/node_modules/right-pad/package.json", Body: `{"name":"right-pad","version":"1.0.0"}`})
	odd := archivetest.Layer(t, archivetest.Entry{Name: "app/node_modules/odd/package.json", Body: `{`})
	for _, image := range []struct {
		layers     [][]byte
		components int
	}{{[][]byte{base}, 1}, {[][]byte{base, more}, 2}, {[][]byte{base, odd}, 1}, {[][]byte{base, more}, 2}} {
		req := listRequest(t, archivetest.Write(t, archivetest.Pulled(t, archivetest.Gzip, image.layers...)))
		sbom, err := r.GenerateSBOM(t.Context(), req, nil)
		require.NoError(t, err)
		require.Equal(t, image.components, sbom.Components)
		require.NoDirExists(t, req.Scratch)
	}
	files, err := filepath.Glob(filepath.Join(kept, "whole", "*"))
	require.NoError(t, err)
	require.Len(t, files, 3)
}

// TestKilledClientsLeaveNoHalfLayers kills clients while they keep layers, two at a time, and then lists the image.
func TestKilledClientsLeaveNoHalfLayers(t *testing.T) {
	kept := t.TempDir()
	entries := []archivetest.Entry{{Name: "app/node_modules/left-pad/package.json", Body: `{"name":"left-pad","version":"1.3.0"}`}}
	noise := make([]byte, 24<<20)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(noise)
	layer := archivetest.Layer(t, append(entries, archivetest.Entry{Name: "noise", Body: string(noise)})...)
	image := archivetest.Write(t, archivetest.Pulled(t, archivetest.Gzip, layer))
	args := func(dir string) []string {
		return []string{
			protocol.VerbSBOM, protocol.FlagTar, image, protocol.FlagSBOM, filepath.Join(dir, "sbom.json"), protocol.FlagScratch, filepath.Join(dir, "scratch"),
			protocol.FlagLayers, kept, protocol.FlagLayersLimit, "1000000000",
		}
	}
	for round := range 8 {
		var both []*exec.Cmd
		for range 2 {
			client := program(t, args(t.TempDir())...)
			require.NoError(t, client.Start())
			both = append(both, client)
		}
		time.Sleep(time.Duration(50*round) * time.Millisecond)
		for _, client := range both {
			_ = client.Process.Kill()
			_ = client.Wait()
		}
	}
	dir := t.TempDir()
	said, err := program(t, args(dir)...).CombinedOutput()
	require.NoError(t, err, string(said))
	sbom, err := os.ReadFile(filepath.Join(dir, "sbom.json"))
	require.NoError(t, err)
	require.Contains(t, string(sbom), "pkg:npm/left-pad@1.3.0")
	whole, err := os.ReadDir(filepath.Join(kept, "whole"))
	require.NoError(t, err)
	require.Len(t, whole, 1)
	partial, err := os.ReadDir(filepath.Join(kept, "partial"))
	require.NoError(t, err)
	require.Empty(t, partial)
}
