package builtin

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// bearerLife is how long a login lasts, the two hours that the hub this one speaks like gives.
const bearerLife = 2 * time.Hour

// logins hands out bearer tokens and checks them. A bearer is signed, not stored: it outlives a restart of the hub, and
// ends when the API token or the password changes, because both go into the key.
type logins struct {
	token    string
	password string
	key      []byte
}

func newLogins(db *bbolt.DB, token, password string) (*logins, error) {
	var seed []byte
	err := db.Update(func(tx *bbolt.Tx) error {
		if seed = tx.Bucket([]byte(metaBucket)).Get([]byte("session-key")); seed != nil {
			seed = append([]byte(nil), seed...) // bbolt's memory ends with the transaction
			return nil
		}
		seed = make([]byte, secretBytes)
		_, _ = rand.Read(seed) // never fails: crypto/rand ends the process instead
		return writeRaw(tx, metaBucket, "session-key", seed)
	})
	if err != nil {
		return nil, fmt.Errorf("prepare the hub's session key: %w", err)
	}
	l := &logins{token: token, password: password}
	l.key = sign(seed, token+"\x00"+password)
	return l, nil
}

func sign(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// same compares secrets in a time that tells nothing of them, not even their length.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// issue makes a bearer that lasts bearerLife from now.
func (l *logins) issue(now time.Time) string {
	nonce := make([]byte, 12)
	_, _ = rand.Read(nonce)
	claim := strconv.FormatInt(now.Add(bearerLife).UnixMilli(), 10) + "." + base64.RawURLEncoding.EncodeToString(nonce)
	return claim + "." + base64.RawURLEncoding.EncodeToString(sign(l.key, claim))
}

// valid tells whether this hub issued the bearer and it has not expired.
func (l *logins) valid(bearer string, now time.Time) bool {
	end := strings.LastIndexByte(bearer, '.')
	if end < 0 || !same(base64.RawURLEncoding.EncodeToString(sign(l.key, bearer[:end])), bearer[end+1:]) {
		return false
	}
	until, _, _ := strings.Cut(bearer, ".")
	millis, err := strconv.ParseInt(until, 10, 64)
	return err == nil && now.UnixMilli() < millis
}

// csrf is the token that goes with a bearer on every call that changes something.
func (l *logins) csrf(bearer string) string {
	return base64.RawURLEncoding.EncodeToString(sign(l.key, "csrf "+bearer)[:16])
}
