package scanclient_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/scanclient"
	"github.com/perceptor/perceptor/model"
)

// byTemplate makes this test binary the scanner of someone else.
func byTemplate(t *testing.T, part string, asOf scanclient.DataDate) *scanclient.Runner {
	t.Helper()
	return runner(t, "good", func(o *scanclient.Options) {
		o.Template = scanclient.Template{Command: []string{o.Command, actAs, part, "--input", "{tar}", "--sbom={sbom}", "--sbom", "{sbom}", "--cache", "{scratch}/x"}, AsOf: asOf}
	})
}

func dateFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "metadata.json")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// dateIn is the property with the date in a document; empty without one.
func dateIn(t *testing.T, sbom string) string {
	t.Helper()
	file, err := os.Open(sbom)
	require.NoError(t, err)
	defer file.Close() //nolint:errcheck // only read
	var bom cyclonedx.BOM
	require.NoError(t, cyclonedx.NewBOMDecoder(file, cyclonedx.BOMFileFormatJSON).Decode(&bom))
	if bom.Metadata == nil || bom.Metadata.Properties == nil {
		return ""
	}
	require.Len(t, *bom.Metadata.Properties, 1)
	require.Equal(t, "perceptor:scanner:data-as-of", (*bom.Metadata.Properties)[0].Name)
	return (*bom.Metadata.Properties)[0].Value
}

// TestAScannerByTemplate: a program that knows nothing of the protocol writes the document, and the date of its data is added.
func TestAScannerByTemplate(t *testing.T) {
	req := request(t)
	var seen []scanclient.Progress
	sbom, err := byTemplate(t, "scanner", scanclient.DataDate{File: dateFile(t, `{"Version":2,"UpdatedAt":"2026-11-27T08:00:00+02:00"}`), Key: "UpdatedAt"}).
		GenerateSBOM(t.Context(), req, func(p scanclient.Progress) { seen = append(seen, p) })
	require.NoError(t, err)
	info, err := os.Stat(req.SBOM)
	require.NoError(t, err)
	require.Equal(t, scanclient.SBOM{Components: 1, SBOMBytes: info.Size()}, sbom)
	require.Equal(t, "2026-11-27T06:00:00Z", dateIn(t, req.SBOM))
	require.NotEmpty(t, seen)
	requireNothingLeft(t, req)

	req = request(t)
	self, err := os.Executable()
	require.NoError(t, err)
	_, err = byTemplate(t, "scanner", scanclient.DataDate{Command: []string{self, actAs, "date"}, Key: "db.built"}).GenerateSBOM(t.Context(), req, nil)
	require.NoError(t, err)
	require.Equal(t, "2026-11-27T06:00:00Z", dateIn(t, req.SBOM), "from the output of a command")

	req = request(t)
	_, err = byTemplate(t, "scanner", scanclient.DataDate{}).GenerateSBOM(t.Context(), req, nil)
	require.NoError(t, err)
	require.Empty(t, dateIn(t, req.SBOM), "without a setting the document stays as it is")
}

func TestFailuresOfATemplate(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	const good = "2026-11-27T06:00:00Z"
	cases := []struct {
		name, part string
		asOf       scanclient.DataDate
		class      model.FailureClass
		reason     string
	}{
		{"the scanner fails", "scanner-fails", scanclient.DataDate{}, model.Invalid, "exit code 1 and gave no reason; its last words: FATAL no database"},
		{"no document", "silent", scanclient.DataDate{}, model.Invalid, "wrote no SBOM"},
		{"another format", "scanner-SPDX", scanclient.DataDate{}, model.Invalid, "not CycloneDX"},
		{"a link", "linked-SBOM", scanclient.DataDate{}, model.Invalid, "no regular file"},
		{"killed", "dies", scanclient.DataDate{}, model.Transient, "killed by signal 9"},
		{"no file", "scanner", scanclient.DataDate{File: "/no/such/metadata.json"}, model.Transient, "the date of the scanner's data could not be read: open /no/such"},
		{"a directory", "scanner", scanclient.DataDate{File: t.TempDir()}, model.Transient, "no regular file"},
		{"no such key", "scanner", scanclient.DataDate{File: dateFile(t, `{}`), Key: "UpdatedAt"}, model.Transient, "the key UpdatedAt is missing"},
		{"no JSON", "scanner", scanclient.DataDate{File: dateFile(t, good), Key: "UpdatedAt"}, model.Transient, "no JSON object with the key UpdatedAt"},
		{"a number", "scanner", scanclient.DataDate{File: dateFile(t, `{"a":{"b":1}}`), Key: "a.b"}, model.Transient, "the value of a.b is no text"},
		{"no date", "scanner", scanclient.DataDate{File: dateFile(t, "yesterday")}, model.Transient, `"yesterday" is not a date`},
		{"a zero date", "scanner", scanclient.DataDate{File: dateFile(t, "0001-01-01T00:00:00Z")}, model.Transient, "is not a date"},
		{"an endless file", "scanner", scanclient.DataDate{File: dateFile(t, strings.Repeat("x", 1<<20+1))}, model.Transient, "has more than 1 MiB"},
		{"a command that fails", "scanner", scanclient.DataDate{Command: []string{self, actAs, "exit-code"}}, model.Transient, "the command ended with exit code 74"},
		{"a command that floods", "scanner", scanclient.DataDate{Command: []string{self, actAs, "date-floods"}}, model.Transient, "says too much"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			req := request(t)
			_, err := byTemplate(t, c.part, c.asOf).GenerateSBOM(t.Context(), req, nil)
			failure := requireError(t, err)
			require.ErrorContains(t, err, c.reason)
			require.Equal(t, c.class, failure.FailureClass())
			require.True(t, failure.SurelyRefused(), "nothing was sent")
			require.NoFileExists(t, req.SBOM)
			requireNothingLeft(t, req)
		})
	}
}

// TestATemplateHasLimits: what scans by a template is a child like every other.
func TestATemplateHasLimits(t *testing.T) {
	req := request(t)
	r := runner(t, "good", func(o *scanclient.Options) {
		o.SBOMTimeout = 300 * time.Millisecond
		o.Template = scanclient.Template{Command: []string{o.Command, actAs, "grandchildren", "{tar}", "--sbom", "{sbom}"}}
	})
	_, err := r.GenerateSBOM(t.Context(), req, nil)
	require.ErrorContains(t, err, "ran longer than its time limit")
	requireNothingLeft(t, req)
}

func TestTemplatesThatCannotWork(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	trivy := filepath.Join(t.TempDir(), "trivy")
	require.NoError(t, os.Symlink(self, trivy))
	of := func(words ...string) scanclient.Template { return scanclient.Template{Command: words} }
	dated := func(d scanclient.DataDate) scanclient.Template {
		return scanclient.Template{Command: []string{self, "{tar}", "{sbom}"}, AsOf: d}
	}
	for name, c := range map[string]struct {
		template scanclient.Template
		reason   string
	}{
		"no image":                     {of(self, "{sbom}"), "lacks the placeholder {tar}"},
		"no document":                  {of(self, "{tar}"), "lacks the placeholder {sbom}"},
		"a mistake":                    {of(self, "{tar}", "{sbom}", "{image}"), "unknown placeholder {image}"},
		"no program":                   {of("/no/such/scanner", "{tar}", "{sbom}"), `"/no/such/scanner" is missing`},
		"trivy that only lists":        {of(trivy, "image", "{tar}", "{sbom}"), "without --scanners vuln, trivy looks for no vulnerabilities"},
		"trivy that looks for secrets": {of("env", "A=b", trivy, "--scanners", "secret", "{tar}", "{sbom}"), "without --scanners vuln"},
		"a date of nothing":            {scanclient.Template{AsOf: scanclient.DataDate{File: "/x"}}, "no template of a scanner"},
		"a date from two places":       {dated(scanclient.DataDate{File: "/x", Command: []string{self}}), "configure one of them"},
		"a key of nothing":             {dated(scanclient.DataDate{Key: "x"}), "configure one of them"},
		"a date at a relative path":    {dated(scanclient.DataDate{File: "db/metadata.json"}), "is not an absolute path"},
		"a date of no program":         {dated(scanclient.DataDate{Command: []string{"/no/such/program"}}), `"/no/such/program" for the date`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := scanclient.New(scanclient.Options{Command: self, Template: c.template})
			require.ErrorContains(t, err, c.reason)
			require.Equal(t, model.Unsupported, requireError(t, err).FailureClass())
		})
	}
	for _, words := range [][]string{{"--scanners", "vuln"}, {"--scanners=secret,vuln"}} {
		_, err := scanclient.New(scanclient.Options{Command: self, Template: of(append([]string{trivy, "{tar}", "{sbom}"}, words...)...)})
		require.NoError(t, err)
	}
}

// TestTheDateIsInserted into documents of every shape. A document that has the date keeps its own.
func TestTheDateIsInserted(t *testing.T) {
	const own = `{"name":"perceptor:scanner:data-as-of","value":"2026-01-01"}`
	for name, row := range map[string]struct{ head, date string }{
		"no metadata":             {`"version":1`, "2026-11-27T06:00:00Z"},
		"empty metadata":          {`"metadata":{ }`, "2026-11-27T06:00:00Z"},
		"metadata":                {`"metadata":{"timestamp":"2026-11-27T06:00:00Z","component":{"name":"a","type":"container","properties":[]}}`, "2026-11-27T06:00:00Z"},
		"empty properties":        {`"metadata":{"properties": [ ]}`, "2026-11-27T06:00:00Z"},
		"its own date":            {`"metadata":{"properties":[` + own + `]}`, "2026-01-01"},
		"its own date, elsewhere": {`"properties":[` + own + `]`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			document := `{"bomFormat":"CycloneDX","specVersion":"1.6",` + row.head + `,"components":[]}`
			file := filepath.Join(t.TempDir(), "document")
			require.NoError(t, os.WriteFile(file, []byte(document), 0o600))
			req := request(t)
			self, err := os.Executable()
			require.NoError(t, err)
			r, err := scanclient.New(scanclient.Options{Command: self, Template: scanclient.Template{
				Command: []string{"cp", file, "{sbom}", "--suffix={tar}"}, AsOf: scanclient.DataDate{File: dateFile(t, "2026-11-27T06:00:00Z\n")},
			}})
			require.NoError(t, err)
			_, err = r.GenerateSBOM(t.Context(), req, nil)
			require.NoError(t, err)
			written, err := os.ReadFile(req.SBOM)
			require.NoError(t, err)
			require.True(t, json.Valid(written), "%s", written)
			require.Equal(t, row.date, dateIn(t, req.SBOM))
		})
	}
}
