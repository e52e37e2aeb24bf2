package access

import (
	"encoding/base64"
	"strings"
)

// FromHeader returns the token in an Authorization header: "Bearer TOKEN", or "Basic" with the token as the password. A
// client sends the second form when its address is http://any:TOKEN@host. Without a token it returns "".
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
