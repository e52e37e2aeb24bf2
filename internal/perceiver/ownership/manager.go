package ownership

import (
	"fmt"
	"hash/fnv"
	"regexp"
	"strings"
	"unicode"
)

// The forms of keys: those of the perceivers of 2018, those of OpsSight, or both.
const (
	Compat   = "compat"
	OpsSight = "opssight"
	Both     = "both"
)

// Manager is one perceiver that writes one form of keys with one prefix.
type Manager struct {
	// name is the field manager, and family how the names of all managers of this perceiver begin.
	name, family string
	form, prefix string
	// record and others are the keys of the two annotations that are written beside the marks.
	record, others string
}

// managerLength is the API server's bound for the name of a field manager.
const managerLength = 128

// NewManager is the manager of the perceiver that calls its cluster by a name. Two perceivers that watch one Kubernetes cluster
// need different names for it.
func NewManager(cluster, form, prefix string) Manager {
	short, sum := cluster, sumOf(cluster)
	if len(cluster) > managerLength/3 || strings.ContainsFunc(cluster, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsPrint(r) }) {
		short = sum
	}
	m := Manager{
		family: "perceptor/" + short + "/", form: form, prefix: prefix,
		record: recordKey + sum, others: othersKey + sum,
	}
	m.name = m.family + form
	if prefix != "" {
		m.name += "/" + sumOf(prefix)
	}
	return m
}

// The beginnings of the keys of the annotations; the end is a sum of the cluster's name.
const (
	recordKey = "perceptor/marks-"
	othersKey = "perceptor/keys-of-others-"
)

// sumOf is a short name for a text.
func sumOf(text string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(text))
	return fmt.Sprintf("%08x", h.Sum32())
}

// Name is the name of the field manager.
func (m Manager) Name() string { return m.name }

// isOwn reports whether a field manager is this perceiver, in this form or in an earlier one.
func (m Manager) isOwn(manager string) bool { return strings.HasPrefix(manager, m.family) }

// recordValue is what the record says of the present form.
func (m Manager) recordValue() string { return strings.TrimSpace(m.form + " " + m.prefix) }

// isReserved reports whether no one but Perceptor has a reason to write a key. Such a key is always taken.
func (m Manager) isReserved(key string) bool {
	return m.prefix != "" && strings.HasPrefix(key, m.prefix) || strings.HasPrefix(key, "perceptor/") || opsSightKeys.MatchString(key)
}

// What stands after "pod." and after "imageN." in the keys of 2018. Annotations have more of them than labels.
const (
	podKeys   = `overall-status|policy-violations|vulnerabilities|scanner-version|server-version|images-not-shown`
	imageKeys = `overall-status|policy-violations|vulnerabilities|scanner-version|server-version|project-endpoint|scan-failure|coverage`
)

var (
	compatKeys   = regexp.MustCompile(`\A(pod\.(` + podKeys + `)|image[0-9]+(\.(` + imageKeys + `))?)\z`)
	opsSightKeys = regexp.MustCompile(`\A(com\.blackducksoftware\.(pod\..+|image[0-9]+(\..+)?)|quality\.pod\.openshift\.io/(vulnerability|policy)\.blackduck|` +
		`image[0-9]+\.(blackducksoftware\.com|quality\.image\.openshift\.io)(/.+)?)\z`)
)

// grammar is a form with its prefix, as a record says it.
type grammar struct{ form, prefix string }

// parseRecord reads a record; false where it is none.
func parseRecord(value string) (grammar, bool) {
	form, prefix, _ := strings.Cut(value, " ")
	switch form {
	case Compat, OpsSight, Both:
		return grammar{form, prefix}, true
	default:
		return grammar{}, false
	}
}

// has reports whether a key is one of the form.
func (g grammar) has(key string) bool {
	if g.form != Compat && opsSightKeys.MatchString(key) {
		return true
	}
	rest, found := strings.CutPrefix(key, g.prefix)
	return g.form != OpsSight && found && compatKeys.MatchString(rest)
}
