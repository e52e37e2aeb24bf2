package judge

import (
	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
)

// Contents is what a document says is in an image. Its JSON is for storing.
type Contents struct {
	// Subject is what the document calls the image; empty where it does not say.
	Subject string `json:"subject,omitempty"`
	// Serials are the serial numbers of the documents.
	Serials      []string         `json:"serials,omitempty"`
	Distribution osv.Distribution `json:"distribution,omitzero"`
	// Components are sorted, each once.
	Components []Component `json:"components,omitempty"`
	// Words are what another scanner says, by the key of the component; nil where none judged. A component without a word is
	// looked up by this hub.
	Words map[string]Word `json:"words,omitempty"`
	// Unread are files that list packages, or should, and could not be read.
	Unread []UnreadFile `json:"unread,omitempty"`
}

// Component is one package of an image.
type Component struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	PURL    string `json:"purl,omitempty"`
	// Vendor is who built a package of a distribution: the maintainer (deb, apk) or the vendor (rpm).
	Vendor string `json:"vendor,omitempty"`
	// Commit is the commit of the distribution's repository that an apk says it was built from; empty where it says none.
	Commit string `json:"commit,omitempty"`
	// Source and SourceVersion are the source package of a binary one, where the document says it outside the package URL.
	Source        string `json:"source,omitempty"`
	SourceVersion string `json:"sourceVersion,omitempty"`
	// Modularity is the label of an RPM module, such as "nodejs:18:8090020231019152822:rhel8".
	Modularity string `json:"modularity,omitempty"`
	// Own says that it is the software of the image's owner: the main module of a Go program, the root package of an
	// application. It is looked up like any other, and does not count as not assessed.
	Own bool `json:"own,omitempty"`
}

// Key tells the components of one image apart: the package URL, or name and version where there is none.
func (c Component) Key() string {
	if c.PURL != "" {
		return c.PURL
	}
	return c.Name + "\x00" + c.Version
}

// UnreadFile is a file that could not be read, and why.
type UnreadFile struct {
	Path   string `json:"path"`
	Reason string `json:"reason,omitempty"`
}
