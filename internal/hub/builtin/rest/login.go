package rest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/perceptor/perceptor/internal/hub/builtin/store"
)

const (
	csrfHeader   = "X-CSRF-TOKEN"
	bearerCookie = "AUTHORIZATION_BEARER"
)

// access says who may call an endpoint.
type access int

const (
	// withBearer is the rule: a bearer, and its CSRF token on calls that change something.
	withBearer access = iota
	// withToken also takes the API token itself, for scripts.
	withToken
	// open takes every caller.
	open
)

var errLogin = refuse(http.StatusUnauthorized, "unauthorized",
	"log in first: POST /api/tokens/authenticate with the header 'Authorization: token <API token>', then send its bearerToken as 'Authorization: Bearer ...'")

// authorize refuses a call that lacks what the endpoint asks for.
func (s *Server) authorize(r *http.Request, need access) error {
	if need == open {
		return nil
	}
	scheme, credential := authorization(r)
	if need == withToken && scheme == "token" && same(credential, s.logins.token) {
		return nil
	}
	bearer := credential
	if scheme != "bearer" {
		cookie, err := r.Cookie(bearerCookie)
		if scheme != "" || err != nil {
			return errLogin
		}
		bearer = cookie.Value
	}
	if !s.logins.valid(bearer, s.jobs.Now()) {
		return errLogin
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead && !same(r.Header.Get(csrfHeader), s.logins.csrf(bearer)) {
		return refuse(http.StatusForbidden, "csrf", "a call that changes something needs the header "+csrfHeader+" with the value the login answered")
	}
	return nil
}

// authorization splits the header; the scheme comes back in lower case.
func authorization(r *http.Request) (scheme, credential string) {
	scheme, credential, _ = strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.ToLower(scheme), strings.TrimSpace(credential)
}

// authenticateToken is the token login.
func (s *Server) authenticateToken(c *call) (reply, error) {
	scheme, token := authorization(c.Request)
	if scheme != "token" || !same(token, s.logins.token) {
		return reply{}, refuse(http.StatusUnauthorized, "unauthorized", "the API token is missing or wrong: send 'Authorization: token <API token>'")
	}
	bearer := s.logins.issue(s.jobs.Now())
	c.header().Set(csrfHeader, s.logins.csrf(bearer))
	return reply{status: http.StatusOK, body: map[string]any{"bearerToken": bearer, "expiresInMilliseconds": bearerLife.Milliseconds()}}, nil
}

// authenticateForm is the password login.
func (s *Server) authenticateForm(c *call) (reply, error) {
	if s.wrong.tooMany(c.Request, s.clock.Now()) {
		return reply{}, refuse(http.StatusTooManyRequests, "too_many_logins", "there were too many wrong logins from this address; try again in a minute")
	}
	c.Body = http.MaxBytesReader(c.writer, c.Body, 64<<10)
	if err := c.ParseForm(); err != nil {
		return reply{}, refuse(http.StatusBadRequest, "form", "the login form cannot be read: send j_username and j_password as application/x-www-form-urlencoded")
	}
	userOK, passwordOK := same(c.PostForm.Get("j_username"), User), same(c.PostForm.Get("j_password"), s.logins.password)
	if !userOK || !passwordOK {
		s.wrong.note(c.Request)
		return reply{}, refuse(http.StatusUnauthorized, "unauthorized", "user name or password is wrong")
	}
	bearer := s.logins.issue(s.jobs.Now())
	c.header().Set(csrfHeader, s.logins.csrf(bearer))
	http.SetCookie(c.writer, &http.Cookie{ //nolint:gosec // Secure wherever there is TLS, which is everywhere but in front of a bare Handler
		Name: bearerCookie, Value: bearer, Path: "/", MaxAge: int(bearerLife.Seconds()), HttpOnly: true, Secure: c.TLS != nil, SameSite: http.SameSiteStrictMode,
	})
	return reply{status: http.StatusNoContent}, nil
}

// seedBytes is the strength of the key that signs logins: 256 bits.
const seedBytes = 32

// bearerLife is how long a login lasts, the two hours that the hub this one speaks like gives.
const bearerLife = 2 * time.Hour

// logins hands out bearer tokens and checks them. A bearer is signed, not stored: it outlives a restart of the hub, and
// ends when the API token or the password changes, because both go into the key.
type logins struct {
	token    string
	password string
	key      []byte
}

func newLogins(file *store.Store, token, password string) (*logins, error) {
	var seed []byte
	err := file.Update(func(tx *store.Tx) (err error) {
		seed, err = tx.SessionKey(func() []byte {
			fresh := make([]byte, seedBytes)
			_, _ = rand.Read(fresh) // never fails: crypto/rand ends the process instead
			return fresh
		})
		return err
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

// same compares secrets in a time that says nothing of them, not even their length.
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

// valid reports whether this hub issued the bearer and it has not expired.
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

// Wrong logins of one address: after wrongLogins of them, its password logins are refused unread until wrongLoginsTime has passed.
// A token login is always read: the hub makes the token, so it cannot be guessed, and workers share addresses.
const (
	wrongLogins     = 10
	wrongLoginsTime = time.Minute
	// wrongAddresses bounds the memory for addresses.
	wrongAddresses = 10_000
)

// wrong counts the wrong password logins of the present minute by address.
type wrong struct {
	lock  sync.Mutex
	since time.Time
	count map[string]int
}

// tooMany reports whether an address had too many wrong logins.
func (w *wrong) tooMany(r *http.Request, now time.Time) bool {
	w.lock.Lock()
	defer w.lock.Unlock()
	if w.count == nil || now.Sub(w.since) > wrongLoginsTime || now.Before(w.since) || len(w.count) >= wrongAddresses {
		w.since, w.count = now, map[string]int{}
	}
	return w.count[addressOf(r)] >= wrongLogins
}

// note counts a wrong login.
func (w *wrong) note(r *http.Request) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.count[addressOf(r)]++
}

// addressOf is where a request comes from, without the port.
func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
