package builtin

import (
	"net/http"
	"strings"
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
	// open takes everybody.
	open
)

var errLogin = refuse(http.StatusUnauthorized, "unauthorized",
	"log in first: POST /api/tokens/authenticate with the header 'Authorization: token <API token>', then send its bearerToken as 'Authorization: Bearer ...'")

// authorize refuses a call that lacks what the endpoint asks for.
func (h *Hub) authorize(r *http.Request, need access) error {
	if need == open {
		return nil
	}
	scheme, credential := authorization(r)
	if need == withToken && scheme == "token" && same(credential, h.logins.token) {
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
	if !h.logins.valid(bearer, h.now()) {
		return errLogin
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead && !same(r.Header.Get(csrfHeader), h.logins.csrf(bearer)) {
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
func (h *Hub) authenticateToken(c *call) (reply, error) {
	scheme, token := authorization(c.Request)
	if scheme != "token" || !same(token, h.logins.token) {
		return reply{}, refuse(http.StatusUnauthorized, "unauthorized", "the API token is missing or wrong: send 'Authorization: token <API token>'")
	}
	bearer := h.logins.issue(h.now())
	c.header().Set(csrfHeader, h.logins.csrf(bearer))
	return reply{status: http.StatusOK, body: map[string]any{"bearerToken": bearer, "expiresInMilliseconds": bearerLife.Milliseconds()}}, nil
}

// authenticateForm is the password login.
func (h *Hub) authenticateForm(c *call) (reply, error) {
	c.Body = http.MaxBytesReader(c.writer, c.Body, 64<<10)
	if err := c.ParseForm(); err != nil {
		return reply{}, refuse(http.StatusBadRequest, "form", "the login form cannot be read: send j_username and j_password as application/x-www-form-urlencoded")
	}
	userOK, passwordOK := same(c.PostForm.Get("j_username"), User), same(c.PostForm.Get("j_password"), h.logins.password)
	if !userOK || !passwordOK {
		return reply{}, refuse(http.StatusUnauthorized, "unauthorized", "user name or password is wrong")
	}
	bearer := h.logins.issue(h.now())
	c.header().Set(csrfHeader, h.logins.csrf(bearer))
	http.SetCookie(c.writer, &http.Cookie{ //nolint:gosec // Secure wherever there is TLS, which is everywhere but in front of a bare Handler
		Name: bearerCookie, Value: bearer, Path: "/", MaxAge: int(bearerLife.Seconds()), HttpOnly: true, Secure: c.TLS != nil, SameSite: http.SameSiteStrictMode,
	})
	return reply{status: http.StatusNoContent}, nil
}
