package access

import (
	"encoding/base64"
	"strings"
)

// FromHeader reads the token out of an Authorization header: "Bearer TOKEN", or "Basic" with the token as the password,
// which is what a client sends whose address is written http://any:TOKEN@host. Empty when there is none.
func FromHeader(header string) string {
	scheme, rest, found := strings.Cut(strings.TrimSpace(header), " ")
	if !found {
		return ""
	}
	rest = strings.TrimSpace(rest)
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return rest
	case strings.EqualFold(scheme, "Basic"):
		text, err := base64.StdEncoding.DecodeString(rest)
		if err != nil {
			return ""
		}
		_, password, _ := strings.Cut(string(text), ":")
		return password
	}
	return ""
}
