package judge

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/package-url/packageurl-go"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/model"
)

// A document that carries vulnerabilities is the word of another scanner, with a database of its own. Its findings are
// judged by this hub's policy, and it vouches for the components in its document. It does so only while the age of its data
// is known: see PropertyDataAsOf.

// PropertyDataAsOf is the property, of the document or of its metadata, that says when the scanner's data were last
// updated, as RFC 3339 or a date. Scanners do not write it into CycloneDX, so the program that runs the scanner adds it.
const PropertyDataAsOf = "perceptor:scanner:data-as-of"

// Scanner is another program that judged an image.
type Scanner struct {
	// Name is its name with its version; empty when the document does not say.
	Name string `json:"name,omitempty"`
	// AsOf is when its data were last updated; zero when that is not known.
	AsOf time.Time `json:"asOf,omitzero"`
}

// Word is what a scanner says of one component.
type Word struct {
	Scanner  Scanner          `json:"scanner"`
	Findings []ScannerFinding `json:"findings,omitempty"`
}

// ScannerFinding is a vulnerability that a scanner found.
type ScannerFinding struct {
	osv.Finding
	// Accepted is the document's own analysis, where it says that the finding does not count.
	Accepted *Acceptance `json:"accepted,omitempty"`
}

// and puts the words of two scanners together: every finding of both, at the age of the older data.
func (w Word) and(other Word) Word {
	merged := Word{Scanner: w.Scanner, Findings: slices.Clone(w.Findings)}
	if other.Scanner.AsOf.Before(w.Scanner.AsOf) {
		merged.Scanner = other.Scanner
	}
	for _, f := range other.Findings {
		if !slices.ContainsFunc(merged.Findings, func(known ScannerFinding) bool { return known.ID == f.ID }) {
			merged.Findings = append(merged.Findings, f)
		}
	}
	return merged
}

// futureSlack is how far the clock of a scanner may be ahead.
const futureSlack = time.Hour

// assessment is what a scanner's word makes of a component. A scanner is silent about what it cannot judge, so its silence is taken
// for "nothing found" only where it is known to look. On names the release, whose support ends for every scanner.
func (w Word) assessment(c Component, on osv.Distribution, now time.Time) Assessment {
	p, reason, detail := osv.Locate(osv.Subject{PURL: c.PURL, Version: c.Version, Source: c.Source, SourceVersion: c.SourceVersion, Modularity: c.Modularity}, on)
	a := Assessment{Ecosystem: p.Ecosystem}
	for _, f := range w.Findings {
		a.Findings = append(a.Findings, f.Finding)
	}
	name := w.Scanner.Name
	switch {
	case name == "":
		return a.not(model.DataUndated, "the document holds vulnerabilities and names no scanner")
	case w.Scanner.AsOf.IsZero():
		return a.not(model.DataUndated, name+" does not say of when its data are")
	case w.Scanner.AsOf.After(now.Add(futureSlack)):
		return a.not(model.DataUndated, name+" has data of the future: "+w.Scanner.AsOf.Format(time.RFC3339))
	}
	if a.Ecosystem == "" {
		a.Ecosystem = purlType(c.PURL)
	}
	if a.Ecosystem == "" {
		a.Ecosystem = "other"
	}
	a.Data = &model.DataSource{Ecosystem: a.Ecosystem, Source: "scanner " + name, AsOf: w.Scanner.AsOf, Complete: true}
	switch {
	case !judgedByScanners(c.PURL):
		a = a.not(model.NoData, "scanners are not known to judge such packages")
	case reason == model.VersionUnreadable || reason != "" && p.Ecosystem != "":
		a = a.not(reason, detail)
	case c.Version == "" && !strings.Contains(c.PURL, "@"):
		a = a.not(model.VersionUnreadable, "it has none")
	case p.Ecosystem != "" && !osv.OwnByName(p.Ecosystem, c.Vendor, c.Version):
		a = a.not(model.ForeignVendor, builtBy(c.Vendor))
	}
	return a
}

// scannedTypes are the package URL types that trivy and grype both have, or that trivy alone has, data about:
// https://trivy.dev/docs/latest/coverage/language/ and https://oss.anchore.com/docs/capabilities/.
var scannedTypes = []string{
	"bitnami", "cargo", "cocoapods", "composer", "conan", "gem", "golang", "hex", "julia", "maven", "npm", "nuget", "pub", "pypi", "swift",
}

// scannedDistributions are the namespaces of packages of distributions that trivy has data about, with the other spellings of package
// URLs: https://trivy.dev/docs/latest/coverage/os/.
var scannedDistributions = []string{
	"alma", "almalinux", "alpine", "amazon", "amzn", "azurelinux", "cbl-mariner", "centos", "chainguard", "debian", "echo", "mariner", "minimos", "ol",
	"opensuse", "opensuse-leap", "opensuse-tumbleweed", "oracle", "oraclelinux", "photon", "redhat", "rhel", "rocky", "sle-micro", "sles", "suse", "ubuntu", "wolfi",
}

// judgedByScanners reports whether a scanner's silence about a package means something.
func judgedByScanners(purl string) bool {
	parsed, err := packageurl.FromString(purl)
	if err != nil {
		return false
	}
	switch parsed.Type {
	case packageurl.TypeDebian, packageurl.TypeRPM, packageurl.TypeApk:
		namespace, _, _ := strings.Cut(strings.ToLower(parsed.Namespace), "/")
		return slices.ContainsFunc(scannedDistributions, func(each string) bool { return namespace == each || strings.HasPrefix(namespace, each+".") })
	case packageurl.TypeGeneric:
		return osv.IsUpstreamBinary(purl)
	}
	return slices.Contains(scannedTypes, parsed.Type)
}

// accepted is the scanner's own analysis of a finding; nil when it has none.
func (w Word) accepted(id string) *Acceptance {
	for _, f := range w.Findings {
		if f.ID == id {
			return f.Accepted
		}
	}
	return nil
}

// scannerReader reads what a scanner says.
type scannerReader struct {
	*reader
	scanner Scanner
	// keys are those of the components, by their reference in the document.
	keys map[string]string
	lost int
}

// scannerWords reads the vulnerabilities of a document. A plain SBOM has none, and then nothing is read: the hub looks up
// its components itself. So it does where a list is empty and no scanner is named.
func (r *reader) scannerWords(bom *cyclonedx.BOM) error {
	if bom.Vulnerabilities == nil {
		return nil
	}
	s := scannerReader{reader: r, keys: map[string]string{}}
	s.scanner.Name = toolOf(bom)
	if s.scanner.Name == "" && len(*bom.Vulnerabilities) == 0 {
		return nil
	}
	var err error
	if s.scanner.AsOf, err = dataAsOf(bom); err != nil {
		return err
	}
	r.words = map[string]Word{}
	for key := range r.found {
		r.words[key] = Word{Scanner: s.scanner}
	}
	s.index(bom.Components)
	for i := range *bom.Vulnerabilities {
		s.read(&(*bom.Vulnerabilities)[i])
	}
	if on := r.distribution; on.ID != "" && !r.hasPackagesOf() {
		r.unread["operating system"] = "the document names " + shown(on.ID+" "+on.VersionID) + ", and no package of it"
	}
	if more := s.lost - maxLost; more > 0 {
		r.unread["vulnerabilities"] = fmt.Sprintf("%d more findings name no component of the document", more)
	}
	for _, word := range r.words {
		slices.SortStableFunc(word.Findings, func(a, b ScannerFinding) int {
			return slices.Index(model.Severities, a.Severity) - slices.Index(model.Severities, b.Severity)
		})
	}
	return nil
}

// hasPackagesOf reports whether there is any package of a distribution. A scanner that could not read the package database says
// nothing of it in the document.
func (r *reader) hasPackagesOf() bool {
	for _, c := range r.found {
		switch purlType(c.PURL) {
		case packageurl.TypeDebian, packageurl.TypeRPM, packageurl.TypeApk, packageurl.TypeAlpm:
			return true
		}
	}
	return false
}

// toolOf is the scanner that wrote a document, with its version. Both forms of metadata.tools are read. Of several tools,
// all are named.
func toolOf(bom *cyclonedx.BOM) string {
	if bom.Metadata == nil || bom.Metadata.Tools == nil {
		return ""
	}
	var names []string
	add := func(name, version string) {
		if name = shown(strings.TrimSpace(name + " " + version)); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if list := bom.Metadata.Tools.Tools; list != nil {
		for _, each := range *list {
			add(each.Name, each.Version)
		}
	}
	if list := bom.Metadata.Tools.Components; list != nil {
		for _, each := range *list {
			add(each.Name, each.Version)
		}
	}
	return shown(strings.Join(names, ", "))
}

// maxShown bounds texts of a document that are shown.
const maxShown = 200

func shown(text string) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	if len(text) > maxShown {
		text = strings.ToValidUTF8(text[:maxShown], "") + "..."
	}
	return text
}

// dataAsOf is when the scanner's data were updated; zero when the document does not say.
func dataAsOf(bom *cyclonedx.BOM) (time.Time, error) {
	lists := []*[]cyclonedx.Property{bom.Properties}
	if bom.Metadata != nil {
		lists = append(lists, bom.Metadata.Properties)
	}
	for _, list := range lists {
		if list == nil {
			continue
		}
		for _, each := range *list {
			if each.Name != PropertyDataAsOf {
				continue
			}
			for _, form := range []string{time.RFC3339, time.DateOnly} {
				if at, err := time.Parse(form, strings.TrimSpace(each.Value)); err == nil && at.Year() >= 1970 {
					return at.UTC(), nil
				}
			}
			return time.Time{}, fmt.Errorf("property %s: %.40q is not a time as RFC 3339 writes it", PropertyDataAsOf, each.Value)
		}
	}
	return time.Time{}, nil
}

func (s *scannerReader) index(list *[]cyclonedx.Component) {
	if list == nil {
		return
	}
	for i := range *list {
		each := &(*list)[i]
		s.index(each.Components)
		if key := componentOf(each, propertiesOf(each)).Key(); each.BOMRef != "" && each.Name != "" {
			if _, known := s.found[key]; known {
				s.keys[each.BOMRef] = key
			}
		}
	}
}

// maxLost bounds how many findings without a component are named; all are counted.
const maxLost = 1000

// read takes one vulnerability. One that names no component of the document is kept as something that could not be read, so
// that the image is not green.
func (s *scannerReader) read(v *cyclonedx.Vulnerability) {
	finding := findingOf(v)
	if v.Affects == nil || len(*v.Affects) == 0 {
		s.lose(finding.ID, "it names no component")
		return
	}
	for _, each := range *v.Affects {
		ref := each.Ref
		if strings.HasPrefix(ref, "urn:cdx:") {
			_, ref, _ = strings.Cut(ref, "#")
		}
		key, known := s.keys[ref]
		if !known {
			s.lose(finding.ID, "it names a component that is not in the document: "+shown(each.Ref))
			continue
		}
		word, one := s.words[key], finding
		if slices.ContainsFunc(word.Findings, func(f ScannerFinding) bool { return f.ID == one.ID }) {
			continue
		}
		one.Fixed = fixOf(v, each, s.found[key].Name)
		one.Accepted = analysisOf(v, s.scanner.Name)
		word.Findings = append(word.Findings, one)
		s.words[key] = word
	}
}

func (s *scannerReader) lose(id, why string) {
	if s.lost++; s.lost <= maxLost {
		s.unread[fmt.Sprintf("vulnerability %s (%d)", id, s.lost)] = why
	}
}

// findingOf is a vulnerability without what depends on the component.
func findingOf(v *cyclonedx.Vulnerability) ScannerFinding {
	f := ScannerFinding{Finding: osv.Finding{ID: shown(v.ID), Summary: shown(v.Description), Severity: model.SeverityUnrated}}
	if f.ID == "" {
		f.ID = "unnamed"
	}
	if v.References != nil {
		for _, each := range *v.References {
			if id := shown(each.ID); id != "" && id != f.ID && !slices.Contains(f.Aliases, id) {
				f.Aliases = append(f.Aliases, id)
			}
		}
	}
	if v.Source != nil && strings.HasPrefix(v.Source.URL, "https://") {
		f.URL = shown(v.Source.URL)
	}
	if v.Ratings != nil {
		for i := range *v.Ratings {
			severity, score := rated(&(*v.Ratings)[i])
			if severity == model.SeverityUnrated {
				continue
			}
			if f.Severity == model.SeverityUnrated || severity != f.Severity && severity.AtLeast(f.Severity) || severity == f.Severity && score > f.Score {
				f.Severity, f.Score = severity, score
			}
		}
	}
	f.Published, f.Modified = timeOf(v.Published), timeOf(v.Updated)
	return f
}

// timeOf reads a time that is only shown; zero for anything else.
func timeOf(text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

// rated reads one rating: its word, else its vector, else its score. Of several ratings the worst counts: which source the
// scanner prefers does not stand in the document.
func rated(r *cyclonedx.VulnerabilityRating) (model.Severity, float64) {
	score := 0.0
	if r.Score != nil && osv.RateScore(*r.Score) != model.SeverityUnrated {
		score = *r.Score
	}
	switch word := strings.ToLower(string(r.Severity)); word {
	case "none", "info":
		return model.SeverityLow, score
	default:
		if severity, _ := osv.Rate(word); severity != model.SeverityUnrated {
			return severity, score
		}
	}
	if severity, of := osv.Rate(r.Vector); severity != model.SeverityUnrated {
		return severity, of
	}
	return osv.RateScore(score), score
}

// upgrade is how trivy writes a fix: "Upgrade openssl to version 1.1.1n-0+deb11u5, 3.0.1; Upgrade libssl1.1 to version ...".
var upgrade = regexp.MustCompile(`(?i)upgrade (\S+) to version ([^;,\s]+(?:, ?[^;,\s]+)*)`)

// fixOf is the version that fixes a vulnerability in a component; empty when none is known. It stands in affects as the
// version that is not affected, in a property, or in the recommendation.
func fixOf(v *cyclonedx.Vulnerability, a cyclonedx.Affects, name string) string {
	if a.Range != nil {
		for _, each := range *a.Range {
			if each.Status == cyclonedx.VulnerabilityStatusNotAffected && each.Version != "" {
				return shown(each.Version)
			}
		}
	}
	if v.Properties != nil {
		for _, each := range *v.Properties {
			if key := strings.ToLower(each.Name); each.Value != "" && (strings.HasSuffix(key, "fixedversion") || strings.HasSuffix(key, "fixed-version")) {
				return shown(each.Value)
			}
		}
	}
	found := upgrade.FindAllStringSubmatch(v.Recommendation, -1)
	for _, each := range found {
		if sameName(each[1], name) {
			return shown(each[2])
		}
	}
	if len(found) == 1 {
		return shown(found[0][2])
	}
	return ""
}

// sameName reports whether a scanner's name of a package is that of a component. A component's name has its group before a
// slash, where scanners write group:name, group/name or the name alone.
func sameName(scanners, name string) bool {
	plain := strings.ReplaceAll(scanners, ":", "/")
	return strings.EqualFold(plain, name) || strings.HasSuffix(name, "/"+plain)
}

// analysisOf is the document's own word that a finding does not count; nil when it counts.
func analysisOf(v *cyclonedx.Vulnerability, scanner string) *Acceptance {
	if v.Analysis == nil {
		return nil
	}
	a := &Acceptance{Author: scanner, Origin: "the scan's document"}
	switch v.Analysis.State {
	case cyclonedx.IASNotAffected, cyclonedx.IASFalsePositive:
		a.Stance = NotAffected
	case cyclonedx.IASResolved, cyclonedx.IASResolvedWithPedigree:
		a.Stance = Fixed
	default:
		return nil
	}
	a.Reason = shown(strings.TrimRight(string(v.Analysis.State)+": "+string(v.Analysis.Justification)+" "+v.Analysis.Detail, ": "))
	return a
}
