//go:build e2e

package e2e_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/textproto"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/rig"
)

// envScanner turns the program of these tests into a scanner of 2018; its value is the settings.
const envScanner = "E2E_SCANNER_2018"

// scanner2018 is a scanner that speaks the protocol of 2018, in a process of its own. The Hub fields are for the first releases, whose
// scanners have the login of their hub; those of the last releases get it with each image.
type scanner2018 struct {
	API, Token, Registry        string
	First                       bool
	Hub, HubUser, HubPassword   string
	Asks, Works                 time.Duration
	Lies                        bool
	core, hub                   *http.Client
	project, version, scan, sha string
}

// TestScanner2018 is no test: it is the scanner, when started by startScanner2018.
func TestScanner2018(t *testing.T) {
	settings := os.Getenv(envScanner)
	if settings == "" {
		t.Skip("this is the scanner of TestScannersOfOthers, in a process of its own")
	}
	var s scanner2018
	require.NoError(t, json.Unmarshal([]byte(settings), &s))
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	s.core = &http.Client{Timeout: 5 * time.Second}                                                                                               // as in 2018
	s.hub = &http.Client{Timeout: 20 * time.Second, Jar: jar, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // as in 2018
	for {
		s.once()
		time.Sleep(s.Asks)
	}
}

// once asks for an image, scans it, and reports.
func (s *scanner2018) once() {
	spec, err := s.next()
	if err != nil || spec == nil {
		if err != nil {
			fmt.Println("asked in vain:", err)
		}
		return
	}
	fmt.Println("handed", s.sha)
	failure := ""
	if err := s.work(spec); err != nil {
		failure = err.Error()
	}
	fmt.Println("finished", s.sha, failure)
	for range 3 {
		if err := s.report(spec, failure); err == nil {
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
	fmt.Println("report lost", s.sha)
}

// next asks for an image, in either form.
func (s *scanner2018) next() (map[string]any, error) {
	answer, err := s.post("/nextimage", nil)
	if err != nil {
		return nil, err
	}
	var body struct{ ImageSpec map[string]any }
	if err := json.Unmarshal(answer, &body); err != nil || body.ImageSpec == nil {
		return nil, err
	}
	text := func(key string) string { value, _ := body.ImageSpec[key].(string); return value }
	s.sha = text("Sha")
	if s.First {
		s.project, s.version, s.scan = text("HubProjectName"), text("HubProjectVersionName"), text("HubScanName")
		return body.ImageSpec, nil
	}
	s.project, s.version, s.scan = text("BlackDuckProjectName"), text("BlackDuckProjectVersionName"), text("BlackDuckScanName")
	s.Hub, s.HubUser, s.HubPassword = fmt.Sprintf("%s://%s:%v", text("Scheme"), text("Domain"), body.ImageSpec["Port"]), text("User"), text("Password")
	return body.ImageSpec, nil
}

func (s *scanner2018) post(path string, body any) ([]byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequest(http.MethodPost, s.API+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	request.SetBasicAuth("any", s.Token)
	return sent(s.core, request)
}

// sent sends a request and reads the answer, which must be a success.
func sent(c *http.Client, request *http.Request) ([]byte, error) {
	response, err := c.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close() //nolint:errcheck // only read
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode/100 != 2 {
		err = fmt.Errorf("%s: %s", response.Status, bytes.TrimSpace(answer))
	}
	return answer, err
}

// work pulls the manifest of the image, takes its time, and uploads.
func (s *scanner2018) work(spec map[string]any) error {
	repository, _ := spec["Repository"].(string)
	if s.First {
		repository, _ = spec["ImageName"].(string)
	}
	_, path, _ := strings.Cut(repository, "/")
	request, err := http.NewRequest(http.MethodGet, "http://"+s.Registry+"/v2/"+path+"/manifests/sha256:"+s.sha, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "*/*")
	if _, err := sent(s.core, request); err != nil {
		return fmt.Errorf("pull: %w", err)
	}
	time.Sleep(s.Works)
	if s.Lies {
		return nil
	}
	return s.upload()
}

// upload logs in with the password and sends a document.
func (s *scanner2018) upload() error {
	login, err := s.hub.PostForm(s.Hub+"/j_spring_security_check", url.Values{"j_username": {s.HubUser}, "j_password": {s.HubPassword}})
	if err != nil {
		return err
	}
	defer login.Body.Close() //nolint:errcheck // empty
	if login.StatusCode != http.StatusNoContent {
		return errors.New("login: " + login.Status)
	}
	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	for key, value := range map[string]string{"projectName": s.project, "versionName": s.version, "codeLocationName": s.scan} {
		if err := parts.WriteField(key, value); err != nil {
			return err
		}
	}
	file, err := parts.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="file"; filename="bom.json"`}, "Content-Type": {"application/vnd.cyclonedx+json"},
	})
	if err != nil {
		return err
	}
	_, err = io.WriteString(file, `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[{"type":"library","name":"a","version":"1","purl":"pkg:generic/a@1"}]}`)
	if err := errors.Join(err, parts.Close()); err != nil {
		return err
	}
	request, err := http.NewRequest(http.MethodPost, s.Hub+"/api/scan/data", &form)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", parts.FormDataContentType())
	request.Header.Set("X-CSRF-TOKEN", login.Header.Get("X-CSRF-TOKEN"))
	_, err = sent(s.hub, request)
	return err
}

func (s *scanner2018) report(spec map[string]any, failure string) error {
	_, err := s.post("/finishedscan", map[string]any{"ImageSpec": spec, "Err": failure})
	if err != nil {
		fmt.Println("report refused", s.sha, err)
	}
	return err
}

// startScanner2018 starts a scanner in a process of its own. Its output goes to a file, which outlives kills.
func startScanner2018(t *testing.T, b *system, number int, s scanner2018) *rig.Program {
	t.Helper()
	settings, err := json.Marshal(s)
	require.NoError(t, err)
	output, err := os.OpenFile(filepath.Join(b.Root, fmt.Sprintf("external-%d.log", number)), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer output.Close() //nolint:errcheck // the process has its own
	p := &rig.Program{Cmd: exec.Command(os.Args[0], "-test.run", "^TestScanner2018$"), Ended: make(chan error, 1)}
	p.Env = append(os.Environ(), envScanner+"="+string(settings))
	p.Stdout, p.Stderr = output, output
	require.NoError(t, p.Start())
	go func() { p.Ended <- p.Wait() }()
	t.Cleanup(func() {
		_ = p.Process.Kill()
		<-p.Ended
		p.Ended <- nil
	})
	return p
}
