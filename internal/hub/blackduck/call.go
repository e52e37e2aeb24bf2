package blackduck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// call is one request of the API, before it is known who sends it.
type call struct {
	op     string
	method string
	at     *url.URL
	query  url.Values
	// accept is the media type asked for; empty means JSON of any kind.
	accept string
	// contentType and body are what is sent; a DELETE of a code location needs a type without a body.
	contentType string
	body        []byte
	// header is sent as well: logins carry their secret here.
	header http.Header
	// secrets are taken out of whatever the hub says about this call.
	secrets []string
}

// reply is one whole answer.
type reply struct {
	status  int
	header  http.Header
	cookies []*http.Cookie
	body    []byte
	// at is the hub's clock when it answered.
	at time.Time
}

const (
	// largestReply bounds a body: a page of 1,000 findings with their descriptions is about 3 MB.
	largestReply = 32 << 20
	// mostRedirects within the hub; one is usual behind a proxy.
	mostRedirects = 3
)

// fetch sends a call as the current session, and once more as a new one when the hub says that the session has ended.
func (c *connection) fetch(ctx context.Context, k call) (reply, error) {
	s, err := c.session(ctx, k.op, nil)
	if err != nil {
		return reply{}, err
	}
	answer, err := c.send(ctx, k, s)
	var p *problem
	if errors.As(err, &p) && p.row.endsSession(p.status) {
		if s, err = c.session(ctx, k.op, s); err != nil {
			return reply{}, err
		}
		answer, err = c.send(ctx, k, s)
	}
	return answer, c.wrap(k.op, k.method, k.at, err)
}

// send waits for its turn, sends, follows redirects within the hub, and judges the status. s may be nil.
func (c *connection) send(ctx context.Context, k call, s *session) (reply, error) {
	at := *k.at
	if k.query != nil {
		at.RawQuery = k.query.Encode()
	}
	for range mostRedirects + 1 {
		if err := c.limiter.Wait(ctx); err != nil {
			if errors.Is(ctx.Err(), context.Canceled) {
				return reply{}, gaveUp(ctx.Err())
			}
			return reply{}, trouble(symptomLimiter, err)
		}
		answer, err := c.exchange(ctx, k, s, &at)
		if err != nil {
			return reply{}, err
		}
		if answer.status < 300 || answer.status > 399 {
			return answer, judge(answer, k, s)
		}
		next, err := c.redirect(k, &at, answer)
		if err != nil {
			return reply{}, err
		}
		at = *next
	}
	return reply{}, trouble(symptomLoop, nil)
}

// exchange is one request and its whole reply.
func (c *connection) exchange(outer context.Context, k call, s *session, at *url.URL) (reply, error) {
	ctx, cancel := context.WithTimeout(outer, c.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, k.method, at.String(), bytes.NewReader(k.body))
	if err != nil {
		return reply{}, trouble(symptomArgument, err)
	}
	maps.Copy(request.Header, k.header)
	request.Header.Set("Accept", k.accept)
	if k.accept == "" {
		request.Header.Set("Accept", mediaJSON)
	}
	if k.contentType != "" {
		request.Header.Set("Content-Type", k.contentType)
	}
	s.sign(request)
	response, err := c.http.Do(request)
	if err != nil {
		return reply{}, fromTransport(outer, err)
	}
	defer func() { _ = response.Body.Close() }() // nothing is lost: the body was read or given up
	body, err := io.ReadAll(io.LimitReader(response.Body, largestReply+1))
	if err != nil {
		return reply{}, fromTransport(outer, err)
	}
	if len(body) > largestReply {
		return reply{}, trouble(symptomTooLarge, nil)
	}
	return reply{
		status: response.StatusCode, header: response.Header, cookies: response.Cookies(),
		body: body, at: serverTime(response.Header, c.now()),
	}, nil
}

// redirect decides where a 3xx may lead: on within the hub, keeping method and body, or nowhere. A redirect to a login
// page is how a hub with single sign-on says that the session has ended.
func (c *connection) redirect(k call, from *url.URL, answer reply) (*url.URL, error) {
	to, err := from.Parse(answer.header.Get("Location"))
	if err != nil || answer.header.Get("Location") == "" {
		return nil, &problem{row: forStatus(answer.status), status: answer.status}
	}
	permanentMethod := answer.status == http.StatusTemporaryRedirect || answer.status == http.StatusPermanentRedirect
	switch {
	case !permanentMethod && isLoginAddress(to):
		return nil, &problem{row: forSymptom(symptomLoginPage), status: answer.status}
	case !c.origin.owns(to):
		return nil, &problem{row: forSymptom(symptomElsewhere), status: answer.status, cause: fmt.Errorf("to %s://%s", to.Scheme, to.Host)}
	case !permanentMethod && k.method != http.MethodGet:
		return nil, &problem{row: forStatus(answer.status), status: answer.status}
	}
	to.User = nil
	return to, nil
}

// isLoginAddress knows the usual names in the addresses of login pages and identity providers.
func isLoginAddress(u *url.URL) bool {
	text := strings.ToLower(u.Host + u.Path)
	for _, word := range []string{"login", "saml", "sso", "oauth", "signin", "adfs"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// judge turns a final status that is no success into its row of the table. A login page with status 200 is found here
// and not by the parsers, because a new login may repair it.
func judge(answer reply, k call, s *session) error {
	if answer.status >= 200 && answer.status <= 299 {
		if isHTML(answer) && isLoginPage(answer.body) {
			return trouble(symptomLoginPage, nil)
		}
		return nil
	}
	p := &problem{row: forStatus(answer.status), status: answer.status, retry: retryAfter(answer.header, answer.at)}
	if answer.status == http.StatusNotFound && !isHubError(answer.body) {
		p.row = forSymptom(symptomForeign404)
	}
	if words := saying(errorMessage(answer.body), append(s.secrets(), k.secrets...)); words != "" {
		p.cause = hubSays(words)
	}
	return p
}
