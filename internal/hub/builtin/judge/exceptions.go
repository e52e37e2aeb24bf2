package judge

import "time"

// Exception takes a vulnerability of some components out of every rule, because a person decided so. The finding stays
// visible.
type Exception struct {
	// Vulnerability is its id or another name of it.
	Vulnerability string `yaml:"vulnerability" json:"vulnerability"`
	// Component is a pattern with * and ? of a package URL or a name.
	Component string `yaml:"component" json:"component"`
	// Repository is a pattern; empty means all.
	Repository string `yaml:"repository,omitempty" json:"repository,omitempty"`
	Reason     string `yaml:"reason" json:"reason"`
	Author     string `yaml:"author,omitempty" json:"author,omitempty"`
	// Until is the first moment at which it no longer holds; left out, it holds for ever.
	Until time.Time `yaml:"until,omitempty" json:"until,omitzero"`
	// Origin is where it was loaded from.
	Origin string `yaml:"-" json:"origin,omitempty"`
}

// Exceptions are all that hold for a hub.
type Exceptions []Exception

// ParseExceptions reads exceptions in the simple YAML form, OpenVEX or CycloneDX VEX. Origin names the document.
func ParseExceptions(raw []byte, origin string) (Exceptions, error) { panic("not written yet") }
