package blackduck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/perceptor/perceptor/model"
)

// session is one login and what the hub was at that time. It never changes after it was made.
type session struct {
	bearer  string
	csrf    string
	cookies []*http.Cookie
	// renewAt is when a new login is due, by our clock.
	renewAt time.Time
	dialect dialect
}

const (
	// csrfHeader must come back on every call that changes something.
	csrfHeader = "X-CSRF-TOKEN"
	// usualLife is the hub's default for a login of either kind; the password route does not tell its own.
	usualLife = 2 * time.Hour
	// renewalMargin before the end: the official Python client's five minutes.
	renewalMargin = 5 * time.Minute
	// loginRequests bounds a login to the time of so many requests: two, each redirected once.
	loginRequests = 4
	// largestSecret bounds a secret's file, in bytes.
	largestSecret = 64 << 10
)

// sign puts the session onto a request. A nil session signs nothing.
func (s *session) sign(request *http.Request) {
	if s == nil {
		return
	}
	if s.bearer != "" {
		request.Header.Set("Authorization", "Bearer "+s.bearer)
	}
	if s.csrf != "" {
		request.Header.Set(csrfHeader, s.csrf)
	}
	for _, cookie := range s.cookies {
		request.AddCookie(&http.Cookie{Name: cookie.Name, Value: cookie.Value}) //nolint:gosec // attributes are for browsers, this is the way back
	}
}

func (s *session) secrets() []string {
	if s == nil {
		return nil
	}
	all := []string{s.bearer, s.csrf}
	for _, cookie := range s.cookies {
		all = append(all, cookie.Value)
	}
	return all
}

// session is the current login, or a new one when there is none, when it is about to end, or when it is the stale one.
// Callers that need a new login at the same time share one, its failure too: a hundred calls never send a wrong
// password a hundred times.
func (c *connection) session(ctx context.Context, op string, stale *session) (*session, error) {
	if s := c.usable(stale); s != nil {
		return s, nil
	}
	flight := c.logins.DoChan("", func() (any, error) {
		if s := c.usable(stale); s != nil {
			return s, nil
		}
		// The login serves everybody who waits, so it does not end when the first of them gives up.
		shared, cancel := context.WithTimeout(context.WithoutCancel(ctx), loginRequests*c.timeout)
		defer cancel()
		s, err := c.login(shared)
		if err != nil {
			return nil, err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.current = s
		return s, nil
	})
	select {
	case <-ctx.Done():
		return nil, c.wrap(op, "", nil, gaveUp(ctx.Err()))
	case result := <-flight:
		if result.Err != nil {
			return nil, result.Err
		}
		return result.Val.(*session), nil //nolint:errcheck // the function above returns nothing else
	}
}

// usable is the current session unless it is the stale one or due.
func (c *connection) usable(stale *session) *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil || c.current == stale || !c.now().Before(c.current.renewAt) {
		return nil
	}
	return c.current
}

const opLogin = "log in"

// login reads the secrets again, logs in, and asks the hub's version to know how to speak.
func (c *connection) login(ctx context.Context) (*session, error) {
	target, err := c.credentials()
	if err != nil {
		return nil, c.wrap(opLogin, "", nil, err)
	}
	var s *session
	if target.Token != "" {
		s, err = c.loginByToken(ctx, target.Token)
	} else {
		s, err = c.loginByPassword(ctx, target.Username, target.Password)
	}
	if err != nil {
		return nil, err
	}
	s.dialect, err = c.detect(ctx, s)
	return s, err
}

func (c *connection) loginByToken(ctx context.Context, token string) (*session, error) {
	k := call{
		op: opLogin, method: http.MethodPost, at: c.origin.join("/api/tokens/authenticate"), accept: mediaUser,
		header: http.Header{"Authorization": {"token " + token}}, secrets: []string{token},
	}
	answer, err := c.send(ctx, k, nil)
	if err != nil {
		return nil, c.wrap(k.op, k.method, k.at, err)
	}
	grant, err := decodeReply[loginGrant](answer)
	if err == nil && answer.header.Get(csrfHeader) == "" {
		err = trouble(symptomShape, errors.New("no "+csrfHeader+" header"))
	}
	if err != nil {
		return nil, c.wrap(k.op, k.method, k.at, err)
	}
	return &session{bearer: grant.BearerToken, csrf: answer.header.Get(csrfHeader), renewAt: c.now().Add(untilRenewal(grant.life()))}, nil
}

func (c *connection) loginByPassword(ctx context.Context, username, password string) (*session, error) {
	form := url.Values{"j_username": {username}, "j_password": {password}}
	k := call{
		op: opLogin, method: http.MethodPost, at: c.origin.join("/j_spring_security_check"),
		contentType: "application/x-www-form-urlencoded", body: []byte(form.Encode()), secrets: []string{password},
	}
	answer, err := c.send(ctx, k, nil)
	switch {
	case err != nil:
	case answer.status != http.StatusNoContent:
		// An HTML page with status 200 is how a form login refuses.
		err = notJSON(answer)
		if err == nil {
			err = &problem{row: forStatus(answer.status), status: answer.status}
		}
	case len(answer.cookies) == 0:
		err = trouble(symptomShape, errors.New("the login set no cookie"))
	}
	if err != nil {
		return nil, c.wrap(k.op, k.method, k.at, err)
	}
	return &session{csrf: answer.header.Get(csrfHeader), cookies: answer.cookies, renewAt: c.now().Add(untilRenewal(usualLife))}, nil
}

// untilRenewal leaves a margin before the end, half of the life when that is short.
func untilRenewal(life time.Duration) time.Duration { return life - min(renewalMargin, life/2) }

// UploadTarget says where a scan client uploads, with the secrets as they are in their files now.
func (c *Client) UploadTarget(context.Context) (model.UploadTarget, error) {
	target, err := c.credentials()
	return target, c.wrap("read upload target", "", nil, err)
}

// credentials reads the login's files.
func (c *connection) credentials() (model.UploadTarget, error) {
	target := model.UploadTarget{Hub: c.name, URL: c.origin.root(), CAFile: c.options.CAFile, Insecure: c.options.Insecure}
	var err error
	if c.options.TokenFile != "" {
		target.Token, err = readSecret(c.options.TokenFile)
		target.Token = strings.TrimSpace(target.Token) // no token has space around it, but pasted files do
		return target, err
	}
	target.Username = c.options.Username
	target.Password, err = readSecret(c.options.PasswordFile)
	return target, err
}

// readSecret is a file's content without the line end editors add.
func readSecret(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", trouble(symptomSecret, err)
	}
	defer func() { _ = file.Close() }() // only read
	content, err := io.ReadAll(io.LimitReader(file, largestSecret+1))
	if err != nil {
		return "", trouble(symptomSecret, err)
	}
	content = bytes.TrimRight(content, "\r\n")
	switch {
	case len(content) == 0:
		return "", trouble(symptomSecret, fmt.Errorf("%s is empty", path))
	case len(content) > largestSecret:
		return "", trouble(symptomSecret, fmt.Errorf("%s is longer than %d bytes", path, largestSecret))
	case slices.ContainsFunc([]byte(strings.TrimSpace(string(content))), func(b byte) bool { return b < ' ' }):
		return "", trouble(symptomSecret, fmt.Errorf("%s holds more than one line", path))
	}
	return string(content), nil
}
