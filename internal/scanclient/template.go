package scanclient

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/perceptor/perceptor/internal/scanclient/protocol"
)

// Template is how a scanner of someone else, such as trivy or grype, is called: a program that reads an image's tar, writes a
// CycloneDX document, and knows nothing of this package's protocol. It runs under the same limits as every scan client, and
// gets the same few variables. Its document is uploaded by the scan client's own program.
type Template struct {
	// Command is the program and its arguments. A bare name is looked up in PATH. The placeholders are {tar}, {sbom} and {scratch}.
	// Empty means that there is no such scanner.
	Command []string
	// AsOf says where the date of the scanner's data stands. It is put into documents that lack it; see DataDate.
	AsOf DataDate
}

// The placeholders of a template: the paths of the image, of the document to write, and of an empty directory.
const (
	placeTar     = "{tar}"
	placeSBOM    = "{sbom}"
	placeScratch = "{scratch}"
)

// placeholder finds what looks like one.
var placeholder = regexp.MustCompile(`\{[a-z]+\}`)

// judgingOptions are those without which a scanner only lists packages, and yet writes an empty list of vulnerabilities. No one
// can tell such a document from that of a clean image.
var judgingOptions = map[string]struct{ flag, value string }{
	// https://trivy.dev/docs/latest/supply-chain/sbom/: "By default, --format cyclonedx does not include vulnerability scanning."
	"trivy": {"--scanners", "vuln"},
}

// prepare checks the template and finds its program.
func (t Template) prepare() (Template, error) {
	if len(t.Command) == 0 {
		if !t.AsOf.isZero() {
			return t, setupError("the date of a scanner's data is configured, and no template of a scanner", nil)
		}
		return t, nil
	}
	words := strings.Join(t.Command[1:], " ")
	for _, each := range placeholder.FindAllString(words, -1) {
		if each != placeTar && each != placeSBOM && each != placeScratch {
			return t, setupError(fmt.Sprintf("the template of the scanner has the unknown placeholder %s; known are %s, %s and %s", each, placeTar, placeSBOM, placeScratch), nil)
		}
	}
	for _, needed := range []string{placeTar, placeSBOM} {
		if !strings.Contains(words, needed) {
			return t, setupError(fmt.Sprintf("the template of the scanner lacks the placeholder %s", needed), nil)
		}
	}
	for _, word := range t.Command {
		option, known := judgingOptions[filepath.Base(word)]
		if known && !hasOption(t.Command, option.flag, option.value) {
			return t, setupError(fmt.Sprintf("without %s %s, %s looks for no vulnerabilities and still writes an empty list of them; add these words to the template",
				option.flag, option.value, filepath.Base(word)), nil)
		}
	}
	found, err := exec.LookPath(t.Command[0])
	if err != nil {
		return t, setupError(fmt.Sprintf("the scanner %q is missing or may not be executed", t.Command[0]), err)
	}
	t.Command = append([]string{found}, t.Command[1:]...)
	t.AsOf, err = t.AsOf.prepare()
	return t, err
}

// hasOption reports whether a flag has a value, alone or in a list with commas, in one word or in two.
func hasOption(words []string, flag, value string) bool {
	for i, word := range words {
		values, is := strings.CutPrefix(word, flag+"=")
		if word == flag && i+1 < len(words) {
			values, is = words[i+1], true
		}
		if is && slices.Contains(strings.Split(values, ","), value) {
			return true
		}
	}
	return false
}

// words are the command for one image.
func (t Template) words(req SBOMRequest) []string {
	fill := strings.NewReplacer(placeTar, req.Tar, placeSBOM, req.SBOM, placeScratch, filepath.Join(req.Scratch, scratchName))
	words := []string{t.Command[0]}
	for _, word := range t.Command[1:] {
		words = append(words, fill.Replace(word))
	}
	return words
}

// scanByTemplate has a scanner of someone else write the document. The date of its data is read before the run, so that it is
// never newer than what the scanner used.
func (r *Runner) scanByTemplate(ctx context.Context, t task, req SBOMRequest) (SBOM, error) {
	var asOf time.Time
	if date := r.options.Template.AsOf; !date.isZero() {
		var err error
		if asOf, err = r.dataDate(ctx, t, date); err != nil {
			return SBOM{}, err
		}
	}
	t.env = networkEnvironment()
	if t.progress != nil {
		t.progress(Progress{Phase: string(protocol.PhaseCatalogue)})
	}
	output := newBoundedLog(r.options.LogLimit)
	ended, err := r.execute(ctx, t, r.options.Template.words(req), reading(output))
	if err != nil {
		return SBOM{}, err
	}
	if why := diedOf(ended.stopped, ended.state, ended.log.lastWords()); why != nil {
		return SBOM{}, t.failed(*why, true, ended.log.String()+output.String())
	}
	found, err := checkSBOM(req.SBOM)
	if err == nil && !asOf.IsZero() && !found.dated {
		err = found.insertDate(req.SBOM, asOf)
	}
	if err != nil {
		return SBOM{}, t.failed(badSBOM(err), true, ended.log.String())
	}
	return SBOM{Components: found.components, SBOMBytes: found.bytes}, nil
}
