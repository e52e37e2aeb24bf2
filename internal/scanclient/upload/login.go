package upload

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/perceptor/perceptor/model"
)

const (
	tokenLogin    = "/api/tokens/authenticate"
	passwordLogin = "/j_spring_security_check"
	csrfHeader    = "X-CSRF-TOKEN"
	bearerCookie  = "AUTHORIZATION_BEARER"
)

// maxAnswer is how much of a hub's answer is read, in bytes.
const maxAnswer = 64 << 10

// session is what a hub gave for a login.
type session struct{ bearer, csrf string }

func (s session) sign(request *http.Request) {
	request.Header.Set("Authorization", "Bearer "+s.bearer)
	request.Header.Set(csrfHeader, s.csrf)
}

// login logs in by token, or by the form where there is a password. Whatever goes wrong here, the hub has nothing of
// the upload.
func login(ctx context.Context, client *http.Client, base *url.URL, req Request) (session, error) {
	request, err := loginRequest(ctx, base, req)
	if err != nil {
		return session{}, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return session{}, unreachable(err, base, true)
	}
	defer func() { _ = answer.Body.Close() }()
	if err := judge(answer, base, "the login"); err != nil {
		return session{}, surely(err)
	}
	s := session{csrf: answer.Header.Get(csrfHeader)}
	if req.Token != "" {
		s.bearer, err = bearerOf(answer)
	} else {
		s.bearer, err = cookieOf(answer)
	}
	if err != nil || s.csrf == "" {
		return session{}, refused(model.Invalid, fmt.Sprintf("%s answered the login in no way a hub does; is it a hub's address?", base.Host))
	}
	return s, nil
}

func loginRequest(ctx context.Context, base *url.URL, req Request) (*http.Request, error) {
	switch {
	case req.Token != "":
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, base.JoinPath(tokenLogin).String(), http.NoBody)
		if err == nil {
			request.Header.Set("Authorization", "token "+req.Token)
		}
		return request, err
	case req.Username != "" && req.Password != "":
		form := url.Values{"j_username": {req.Username}, "j_password": {req.Password}}
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, base.JoinPath(passwordLogin).String(), strings.NewReader(form.Encode()))
		if err == nil {
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		return request, err
	default:
		return nil, refused(model.Unauthorized, "no credentials: set PERCEPTOR_HUB_TOKEN, or PERCEPTOR_HUB_USERNAME and PERCEPTOR_HUB_PASSWORD")
	}
}

func bearerOf(answer *http.Response) (string, error) {
	var body struct {
		BearerToken string `json:"bearerToken"`
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(&body); err != nil {
		return "", err
	}
	if body.BearerToken == "" {
		return "", fmt.Errorf("no bearer token")
	}
	return body.BearerToken, nil
}

func cookieOf(answer *http.Response) (string, error) {
	for _, cookie := range answer.Cookies() {
		if cookie.Name == bearerCookie && cookie.Value != "" {
			return cookie.Value, nil
		}
	}
	return "", http.ErrNoCookie
}
