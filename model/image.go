package model

import (
	"fmt"
	"slices"
	"strings"
)

// Platform is what one manifest was built for, in the words of the OCI image specification, such as linux, arm64, v8.
type Platform struct {
	OS           string `json:"os,omitempty"`
	Architecture string `json:"architecture,omitempty"`
	Variant      string `json:"variant,omitempty"`
	// OSVersion is the version of Windows, such as 10.0.20348.1850. Windows runs only images of certain versions; other systems
	// have none.
	OSVersion string `json:"osVersion,omitempty"`
}

// String is the usual "os/architecture[/variant]", empty when nothing is known. A version stands in brackets behind the system.
func (p Platform) String() string {
	system := p.OS
	if p.OSVersion != "" {
		system += "(" + p.OSVersion + ")"
	}
	parts := []string{system, p.Architecture}
	if p.Variant != "" {
		parts = append(parts, p.Variant)
	}
	return strings.Trim(strings.Join(parts, "/"), "/")
}

// ParsePlatform reads "os/architecture[/variant]"; an empty text is the zero value.
func ParsePlatform(text string) (Platform, error) {
	if text == "" {
		return Platform{}, nil
	}
	parts := append(strings.Split(text, "/"), "none")
	if len(parts) < 3 || len(parts) > 4 || slices.Contains(parts, "") {
		return Platform{}, fmt.Errorf("platform %.100q: want OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, such as linux/arm64", text)
	}
	p := Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 4 {
		p.Variant = parts[2]
	}
	return p, p.Check()
}

// Name is one place an image can be pulled from.
type Name struct {
	// Repository is registry and repository without tag or digest, such as "registry.example/team/app".
	Repository string `json:"repository"`
	// Tag is the tag the image was seen under; empty when it was only ever seen by digest.
	Tag string `json:"tag,omitempty"`
	// Credential is the name of the credential to pull with, never the credential; empty means the host's own configuration.
	Credential string `json:"credential,omitempty"`
	// Engine is the ID of the Docker Engine that alone has the image, in its own storage; empty for an image of a registry.
	Engine string `json:"engine,omitempty"`
}

// Reference is the name as a person writes it: repository, with the tag when there is one.
func (n Name) Reference() string {
	if n.Tag == "" {
		return n.Repository
	}
	return n.Repository + ":" + n.Tag
}

// Pinned is the reference that names exactly this manifest.
func (n Name) Pinned(d Digest) string { return n.Repository + "@" + string(d) }

// HubNames are the names of an image at a hub.
type HubNames struct {
	Project string `json:"project"`
	Version string `json:"version"`
	// Scan is the name of the scan, by which the hub is asked for it.
	Scan string `json:"scan"`
}

// DefaultHubNames are the names of Perceptor 0.x (2018): project = repository, version = "<tag>-<first 20 digits of the
// digest>", scan = all digits of the digest.
func DefaultHubNames(n Name, d Digest) HubNames {
	version := d.Short()
	if n.Tag != "" {
		version = n.Tag + "-" + version
	}
	return HubNames{Project: n.Repository, Version: version, Scan: d.Hex()}
}
