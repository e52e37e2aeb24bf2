package osv

// Distribution is the Linux distribution of an image, as its os-release file says it. The zero value is an image without one.
type Distribution struct {
	// ID and VersionID are the fields of that name, such as "debian" and "12".
	ID        string `json:"id,omitempty"`
	VersionID string `json:"version,omitempty"`
	// Codename is VERSION_CODENAME, such as "bookworm".
	Codename string `json:"codename,omitempty"`
	// CPE is CPE_NAME, such as "cpe:/o:redhat:enterprise_linux:9::baseos".
	CPE string `json:"cpe,omitempty"`
}
