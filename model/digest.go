package model

import (
	"fmt"
	"strings"
)

// DigestPrefix is the one algorithm registries use for manifests today, as a digest begins.
const DigestPrefix = "sha256:"

// hexLength is the length of a SHA-256 sum in hexadecimal.
const hexLength = 64

// Digest names one platform manifest, written "sha256:" and 64 lower-case hexadecimal digits.
type Digest string

// ParseDigest reads a digest with or without its "sha256:" prefix. Anything but 64 lower-case hexadecimal digits is an error.
func ParseDigest(s string) (Digest, error) {
	sum := strings.TrimPrefix(s, DigestPrefix)
	if len(sum) != hexLength {
		return "", fmt.Errorf("digest %.80q: want %d hexadecimal digits after %q, got %d characters", s, hexLength, DigestPrefix, len(sum))
	}
	for _, c := range sum {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return "", fmt.Errorf("digest %.80q: %q is not a lower-case hexadecimal digit", s, c)
		}
	}
	return Digest(DigestPrefix + sum), nil
}

// Hex is the digest without its algorithm: the name of the image's scan at the hub.
func (d Digest) Hex() string { return strings.TrimPrefix(string(d), DigestPrefix) }

// shortLength is how many digits of a digest the version names at a hub carry, as in Perceptor 0.x (2018).
const shortLength = 20

// Short is the first twenty hexadecimal digits, as in the version names on the hub.
func (d Digest) Short() string {
	sum := d.Hex()
	if len(sum) > shortLength {
		return sum[:shortLength]
	}
	return sum
}
