package upload_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

// The ways a hub, or something in its place, may answer.
var (
	status = func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	throttled = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "17")
		w.WriteHeader(http.StatusTooManyRequests)
	}
	explained = func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, `{"errorMessage":"an upload\u001b[31m newer than this was seen","errorCode":"attempt"}`)
	}
	page = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html;charset=utf-8")
		_, _ = io.WriteString(w, "<html>Welcome</html>")
	}
	cut = func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	}
	noCSRF     = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"bearerToken":"b"}`) }
	wrongShape = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-CSRF-TOKEN", "c")
		_, _ = io.WriteString(w, `{"bearerToken":["b"]}`)
	}
)

// answers is what each answer means, and whether it leaves the outcome open.
var answers = []struct {
	name          string
	login, upload http.HandlerFunc
	class         model.FailureClass
	refused       bool
	wait          int64
	message       string
}{
	{"login refused", status(401), nil, model.Unauthorized, true, 0, "answered the login with 401: check the hub's token or password"},
	{"login throttled", throttled, nil, model.Throttled, true, 17, "answered the login with 429"},
	{"login breaks", status(502), nil, model.Transient, true, 0, "answered the login with 502"},
	{"login cut off", cut, nil, model.Transient, true, 0, "cannot be reached"},
	{"login is a page", page, nil, model.Invalid, true, 0, "answered the login in no way a hub does"},
	{"login without its token", noCSRF, nil, model.Invalid, true, 0, "answered the login in no way a hub does"},
	{"login of the wrong shape", wrongShape, nil, model.Invalid, true, 0, "answered the login in no way a hub does"},
	{"login is elsewhere", status(302), nil, model.Invalid, true, 0, "with 302: is the address exactly the hub's own?"},
	{"upload refused", nil, status(403), model.Unauthorized, true, 0, "the user lacks the role"},
	{"upload not known again", nil, status(401), model.Unauthorized, true, 0, "answered the upload with 401"},
	{"no licence", nil, status(402), model.Unsupported, true, 0, "licence"},
	{"no such call", nil, status(404), model.Unsupported, true, 0, "does this hub take SBOMs?"},
	{"an older attempt", nil, explained, model.Invalid, true, 0, "with 409: an upload[31m newer than this was seen"},
	{"too large", nil, status(413), model.Invalid, true, 0, "larger than the hub"},
	{"not understood", nil, status(400), model.Invalid, true, 0, "the hub did not accept it"},
	{"upload throttled", nil, throttled, model.Throttled, true, 17, "the hub has enough to do"},
	{"not available", nil, status(503), model.Transient, true, 0, "the hub is not available"},
	{"in trouble", nil, status(500), model.Transient, false, 0, "the hub is in trouble"},
	{"a front door in trouble", nil, status(504), model.Transient, false, 0, "the hub is in trouble"},
	{"upload cut off", nil, cut, model.Transient, false, 0, "whether the hub has it is not known"},
	{"upload answered by a page", nil, page, model.Invalid, false, 0, "answered the upload with a web page"},
}

func TestAnswers(t *testing.T) {
	for _, c := range answers {
		t.Run(c.name, func(t *testing.T) {
			h, server := newHub(t)
			if c.login != nil {
				h.login = c.login
			}
			if c.upload != nil {
				h.upload = c.upload
			}
			result, _, err := run(t, request(t, server))
			failure := requireFailure(t, err)
			require.Zero(t, result)
			require.Equal(t, c.class, failure.Class, failure)
			require.Equal(t, c.refused, failure.Refused, failure)
			require.Equal(t, c.wait, failure.RetryAfterSeconds)
			require.Contains(t, failure.Message, c.message)
		})
	}
}
