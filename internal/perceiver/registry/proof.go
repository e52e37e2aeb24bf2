package registry

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strings"
)

// signatureHeader is where Artifactory has its secret, or the HMAC-SHA256 of the body with it, in hexadecimal digits.
const signatureHeader = "X-JFrog-Event-Auth"

// secretOf is the secret that a request names: as a bearer token, as the whole Authorization header as Harbor sends it, or as the
// password of a login, which stands in the address as Quay calls it.
func secretOf(r *http.Request) string {
	if _, password, is := r.BasicAuth(); is {
		return password
	}
	header := r.Header.Get("Authorization")
	scheme, token, found := strings.Cut(header, " ")
	if found && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	return header
}

// proves reports whether a text is one of the secrets. It takes the same time whichever it is.
func proves(given string, secrets []string) bool {
	sum, found := sha256.Sum256([]byte(given)), 0
	for _, each := range secrets {
		right := sha256.Sum256([]byte(each))
		found |= subtle.ConstantTimeCompare(sum[:], right[:])
	}
	return given != "" && found == 1
}

// signs reports whether a signature is that of the body by one of the secrets.
func signs(signature string, body []byte, secrets []string) bool {
	given, err := hex.DecodeString(strings.TrimPrefix(strings.ToLower(signature), "sha256="))
	if err != nil || len(given) != sha256.Size {
		return false
	}
	for _, each := range secrets {
		mac := hmac.New(sha256.New, []byte(each))
		_, _ = mac.Write(body)
		if hmac.Equal(given, mac.Sum(nil)) {
			return true
		}
	}
	return false
}
