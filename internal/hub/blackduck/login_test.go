package blackduck_test

import (
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/perceptor/perceptor/model"
)

const emptyList = `{"totalCount": 0, "items": []}`

// TestOneLoginForAll lets many calls want a login at once: while the first login is on its way the others wait for it.
func TestOneLoginForAll(t *testing.T) {
	const callers = 40
	hub := newFakeHub(t, answer(200, jsonType, emptyList))
	client := newClient(t, tokenOptions(t, hub.Server))
	all := func() {
		var group errgroup.Group
		for range callers {
			group.Go(func() error {
				_, err := client.FindScan(t.Context(), sampleName)
				return err
			})
		}
		require.NoError(t, group.Wait())
	}
	all()
	require.Equal(t, 1, hub.loginCount())
	hub.forget()
	all()
	require.Equal(t, 2, hub.loginCount(), "a lost session is renewed once for all")
}

// TestOneRefusalForAll holds the login back until all callers wait, and then refuses it: one attempt, every caller gets it.
func TestOneRefusalForAll(t *testing.T) {
	const callers = 20
	hub := newFakeHub(t, answer(200, jsonType, emptyList))
	release := make(chan struct{})
	hub.atLogin = func(http.ResponseWriter, *http.Request) bool { <-release; return false }
	hub.change("another")
	client := newClient(t, tokenOptions(t, hub.Server))
	var group sync.WaitGroup
	var started, refused atomic.Int32
	for range callers {
		group.Go(func() {
			started.Add(1)
			_, err := client.FindScan(t.Context(), sampleName)
			if err != nil {
				refused.Add(1)
			}
		})
	}
	require.Eventually(t, func() bool { return started.Load() == callers }, 10*time.Second, time.Millisecond)
	close(release)
	group.Wait()
	require.EqualValues(t, callers, refused.Load())
	require.Less(t, hub.loginCount(), callers, "callers share a refusal")
}

func TestLoginRefused(t *testing.T) {
	hub := newFakeHub(t, answer(200, jsonType, emptyList))
	hub.change("another")
	_, err := newClient(t, tokenOptions(t, hub.Server)).FindScan(t.Context(), sampleName)
	requireFailure(t, err, failureCase{
		status: 401, class: model.Unauthorized,
		says: `log in: POST /api/tokens/authenticate: 401 Unauthorized: the hub refuses this login`,
	})
}

// TestSecretIsNotRepeated: a hub that repeats the token in its message does not get it into our error.
func TestSecretIsNotRepeated(t *testing.T) {
	hub := newFakeHub(t, answer(200, jsonType, emptyList))
	hub.atLogin = func(w http.ResponseWriter, r *http.Request) bool {
		answer(400, jsonType, fmt.Sprintf(`{"errorMessage": %q}`, "bad "+r.Header.Get("Authorization")))(w, r)
		return true
	}
	_, err := newClient(t, tokenOptions(t, hub.Server)).FindScan(t.Context(), sampleName)
	requireFailure(t, err, failureCase{status: 400, class: model.Invalid, says: `the hub says: "bad token [secret]"`})
}

func TestSecretRotation(t *testing.T) {
	hub := newFakeHub(t, answer(200, jsonType, emptyList))
	options := tokenOptions(t, hub.Server)
	client := newClient(t, options)
	_, err := client.FindScan(t.Context(), sampleName)
	require.NoError(t, err)
	hub.change("rotated")
	_, err = client.FindScan(t.Context(), sampleName)
	requireFailure(t, err, failureCase{status: 401, class: model.Unauthorized})
	require.NoError(t, os.WriteFile(options.TokenFile, []byte("rotated"), 0o600))
	_, err = client.FindScan(t.Context(), sampleName)
	require.NoError(t, err, "the file is read again at the next login")
}

// TestLoginOnce: a hub that refuses every session is asked for one new login per call at most.
func TestLoginOnce(t *testing.T) {
	for name, c := range map[string]failureCase{
		"401":        {serve: answer(401, jsonType, sorryText), status: 401, class: model.Unauthorized},
		"login page": {serve: answer(200, htmlType, loginForm), symptom: "login page", class: model.Unauthorized},
		"redirect":   {serve: answer(302, "", "", "Location", "/login"), symptom: "login page", status: 302, class: model.Unauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			hub := newFakeHub(t, c.serve)
			_, err := newClient(t, tokenOptions(t, hub.Server)).FindScan(t.Context(), sampleName)
			requireFailure(t, err, c)
			require.Equal(t, 2, hub.loginCount())
		})
	}
	t.Run("403 needs none", func(t *testing.T) {
		hub := newFakeHub(t, answer(403, jsonType, sorryText))
		_, err := newClient(t, tokenOptions(t, hub.Server)).FindScan(t.Context(), sampleName)
		requireFailure(t, err, failureCase{status: 403, class: model.Unauthorized, says: "lacks a role"})
		require.Equal(t, 1, hub.loginCount())
	})
}

// TestRenewal moves the clock: a login is renewed before it ends, with a margin that suits its length.
func TestRenewal(t *testing.T) {
	for _, c := range []struct {
		name         string
		life         time.Duration
		still, later time.Duration
	}{
		{"two hours", 2 * time.Hour, 2*time.Hour - 5*time.Minute - time.Second, 2*time.Hour - 5*time.Minute},
		{"one minute", time.Minute, 29 * time.Second, 30 * time.Second},
		{"not given", 0, 2*time.Hour - 5*time.Minute - time.Second, 2*time.Hour - 5*time.Minute},
		{"a year", 365 * 24 * time.Hour, 24*time.Hour - 6*time.Minute, 24*time.Hour - 5*time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			hub := newFakeHub(t, answer(200, jsonType, emptyList))
			hub.life = int(c.life / time.Millisecond)
			client := newClient(t, tokenOptions(t, hub.Server))
			start := time.Date(2025, 11, 3, 10, 0, 0, 0, time.UTC)
			for i, at := range []time.Duration{0, c.still, c.later} {
				client.SetClock(func() time.Time { return start.Add(at) })
				_, err := client.FindScan(t.Context(), sampleName)
				require.NoError(t, err)
				require.Equal(t, 1+i/2, hub.loginCount(), "after %v", at)
			}
		})
	}
}

func TestLoginReplies(t *testing.T) {
	for _, c := range []failureCase{
		{name: "no csrf header", serve: answer(200, jsonType, `{"bearerToken": "b"}`), symptom: "wrong shape", class: model.Invalid, says: "no X-CSRF-TOKEN header"},
		{name: "no bearer", serve: answer(200, jsonType, `{}`, "X-CSRF-TOKEN", "c"), symptom: "wrong shape", class: model.Invalid, says: "no bearerToken"},
		{name: "empty", serve: answer(200, jsonType, ""), symptom: "empty body", class: model.Transient},
		{name: "html", serve: answer(200, htmlType, "<html>"), symptom: "html", class: model.Transient},
		{name: "busy", serve: answer(503, "", "", "Retry-After", "5"), status: 503, class: model.Transient, retry: 5 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			hub := newFakeHub(t, nil)
			hub.atLogin = func(w http.ResponseWriter, r *http.Request) bool { c.serve(w, r); return true }
			_, err := newClient(t, tokenOptions(t, hub.Server)).FindScan(t.Context(), sampleName)
			requireFailure(t, err, c)
		})
	}
}

func TestPasswordReplies(t *testing.T) {
	for _, c := range []failureCase{
		{name: "refused", serve: answer(401, jsonType, sorryText), status: 401, class: model.Unauthorized},
		{name: "login page again", serve: answer(200, htmlType, loginForm), symptom: "login page", class: model.Unauthorized},
		{name: "sent back to the form", serve: answer(302, "", "", "Location", "/login?error"), symptom: "login page", status: 302, class: model.Unauthorized},
		{name: "json instead", serve: answer(201, jsonType, "{}"), status: 201, class: model.Invalid, says: "a success this driver does not expect"},
		{name: "no cookie", serve: answer(204, "", ""), symptom: "wrong shape", class: model.Invalid, says: "set no cookie"},
		{name: "moved", serve: answer(302, "", "", "Location", "/welcome"), status: 302, class: model.Invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			hub := newFakeHub(t, nil)
			mux := http.NewServeMux()
			mux.Handle("POST /j_spring_security_check", c.serve)
			hub.Config.Handler = mux
			_, err := newClient(t, passwordOptions(t, hub.Server)).FindScan(t.Context(), sampleName)
			requireFailure(t, err, c)
		})
	}
}
