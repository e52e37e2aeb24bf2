package registry

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/perceiver"
	"github.com/perceptor/perceptor/internal/perceiver/conformance"
)

// receiver is a perceiver that runs, and what it has said.
type receiver struct {
	*fakeRegistry
	*Perceiver
	world *conformance.World
	log   *safeLog
}

// safeLog is a log that can be read while it is written.
type safeLog struct {
	lock sync.Mutex
	text bytes.Buffer
}

func (l *safeLog) Write(p []byte) (int, error) {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.text.Write(p)
}

func (l *safeLog) String() string {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.text.String()
}

// startReceiver runs a perceiver of a registry that has one tag, and waits until it is ready.
func startReceiver(t *testing.T, kind Kind, change func(*Options)) *receiver {
	t.Helper()
	r := &receiver{fakeRegistry: startFake(t), world: conformance.NewWorld(), log: &safeLog{}}
	r.notifies = false
	r.set("team/app", "v1", sumOf("1"))
	r.fakeRegistry.options = func(o *Options) {
		o.Kind, o.Logger = kind, slog.New(slog.NewTextHandler(r.log, nil))
		if change != nil {
			change(o)
		}
	}
	var err error
	r.Perceiver, err = New(r.optionsFor(r.world))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = r.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	eventually(t, "a snapshot", func() bool { return len(r.world.Reports()) > 0 })
	return r
}

// say posts a body with headers, and gives the status and the answer.
func (r *receiver) say(t *testing.T, body string, headers map[string]string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.receiver+"/webhook", strings.NewReader(body))
	require.NoError(t, err)
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer answer.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	var said struct{ Result string }
	require.NoError(t, json.Unmarshal(text, &said), "%s", text)
	return answer.StatusCode, said.Result
}

// counted is the metric of an outcome.
func (r *receiver) counted(t *testing.T, outcome string) (number int) {
	t.Helper()
	recorder := httptest.NewRecorder()
	r.handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	_, after, found := strings.Cut(recorder.Body.String(), `perceptor_registry_webhooks{outcome="`+outcome+`"} `)
	if found {
		_, err := fmt.Sscan(after, &number)
		require.NoError(t, err)
	}
	return number
}

var bearer = map[string]string{"Authorization": "Bearer " + testSecret}

// rows are the digests of the reported tags.
func (r *receiver) rows() map[string]string {
	rows := map[string]string{}
	for _, p := range r.world.Pods() {
		rows[p.Namespace+"/"+p.Name] = string(p.Containers[0].Digest)
	}
	return rows
}

// pushes are messages about a push of team/app:TAG, in every form.
var pushes = []struct {
	name string
	kind Kind
	body string
}{
	{"distribution", Distribution, `{"events":[{"id":"1","timestamp":"2026-01-02T03:04:05Z","action":"push","target":{"mediaType":"application/vnd.oci.image.manifest.v1+json",
		"digest":"sha256:00","size":708,"length":708,"repository":"team/app","url":"http://evil.example/v2/team/app","tag":"TAG"},"request":{"id":"x"},"actor":{},"source":{}}]}`},
	{"Harbor", Harbor, `{"type":"PUSH_ARTIFACT","occur_at":1680501893,"operator":"admin","event_data":{"resources":[{"digest":"sha256:00","tag":"TAG",
		"resource_url":"evil.example/team/app:TAG"}],"repository":{"date_created":1,"name":"app","namespace":"team","repo_full_name":"team/app","repo_type":"private"}}}`},
	{"Harbor's CloudEvents", Harbor, `{"specversion":"1.0","id":"1","source":"/projects/1/webhook/policies/15","type":"harbor.artifact.pushed","datacontenttype":"application/json",
		"time":"2023-04-03T06:09:56Z","operator":"admin","data":{"resources":[{"digest":"sha256:00","tag":"TAG","resource_url":"x"}],"repository":{"repo_full_name":"team/app"}}}`},
	{"Quay", Quay, `{"name":"app","repository":"team/app","namespace":"team","docker_url":"evil.example/team/app",
		"homepage":"https://evil.example/repository/team/app","updated_tags":["TAG"]}`},
	{"an older Quay", Quay, `{"name":"app","repository":"team/app","updated_tags":{"TAG":"b750fe"},"pushed_image_count":2}`},
	{"Artifactory", Artifactory, `{"domain":"docker","event_type":"pushed","data":{"repo_key":"team","event_type":"pushed","path":"app/TAG/manifest.json","name":"manifest.json",
		"sha256":"00","size":1,"image_name":"app","tag":"TAG","platforms":[]},"subscription_key":"s","jpd_origin":"https://evil.example","source":"jfrog/x"}`},
	{"Artifactory without data", Artifactory, `{"repo_key":"team","event_type":"pushed","path":"app/TAG/manifest.json","image_name":"app","tag":"TAG"}`},
}

func TestAPushOfEachProductIsReported(t *testing.T) {
	for _, row := range pushes {
		t.Run(row.name, func(t *testing.T) {
			r := startReceiver(t, row.kind, nil)
			r.set("team/app", "v2", sumOf("2"))
			push := func(tag string) (int, string) { return r.say(t, strings.ReplaceAll(row.body, "TAG", tag), bearer) }
			status, said := push("v2")
			require.Equal(t, "200 accepted", fmt.Sprint(status, " ", said))
			require.Equal(t, map[string]string{"team:app/v1": sumOf("1"), "team:app/v2": sumOf("2")}, r.rows(), "reported before the answer")

			status, _ = push("v2") // sent again
			require.Equal(t, http.StatusOK, status)
			require.Len(t, r.world.Reports(), 2, "sent again, it changes nothing")
			status, _ = push("v999")
			require.Equal(t, http.StatusOK, status)
			require.Len(t, r.rows(), 2, "a tag that the registry does not have is not reported")
			require.Empty(t, r.world.Wrong())
		})
	}
}

func TestTheEventsOfTheDistributionRegistryAreRemembered(t *testing.T) {
	r := startReceiver(t, Distribution, nil)
	body := strings.ReplaceAll(pushes[0].body, "TAG", "v1")
	for i, want := range []string{"accepted", "repeated", "repeated"} {
		_, said := r.say(t, body, bearer)
		require.Equal(t, want, said, "%d", i)
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	require.Equal(t, 2, r.asked["HEAD /v2/team/app/manifests/v1"], "one by the walk, one by the event")
}

func TestEventsAreForgottenInTheEnd(t *testing.T) {
	r := newReplays()
	for i := range 3 * eventsKept {
		r.add(fmt.Sprint(i), "", fmt.Sprint(i))
	}
	require.Len(t, r.known, eventsKept)
	require.True(t, r.has(fmt.Sprint(3*eventsKept-1)))
	require.False(t, r.has("0"))
	require.False(t, r.has(""))
}

// wrongBodies are what is no message of any product, with the outcome; for distribution it is "unknown", because it would send it for ever.
var wrongBodies = []string{
	"", "null", "true", "1", `"text"`, "[]", "[{}]", "{}", `{"events":null}`, `{"events":{}}`, `{"events":"x"}`, "{", "\xff\xfe", "<xml/>", "\x00", strings.Repeat("[", 100_000),
	`{"events":[1]}`, `{"type":1}`, `{"type":"PUSH_ARTIFACT"}`, `{"type":"PUSH_ARTIFACT","event_data":{"resources":[]}}`, `{"repository":1}`, `{"repository":"a/b","updated_tags":1}`,
	`{"repository":"a/b","updated_tags":[1]}`, `{"event_type":1}`, `{"event_type":"pushed"}`, `{"event_type":"pushed","data":{"repo_key":"a"}}`,
}

// strangeEvents have the right form, and are about nothing that is known.
var strangeEvents = map[Kind][]string{
	Distribution: {
		`{"events":[{"action":"explode","target":{"repository":"team/app","tag":"v1"}}]}`, `{"events":[{"action":"push"}]}`, `{"events":[{}]}`,
		`{"events":[{"action":"push","target":{"repository":"../../etc","tag":"v1"}}]}`, `{"events":[{"action":"push","target":{"repository":"team/app","tag":"a b"}}]}`,
		`{"events":[{"action":"push","target":{"repository":"` + strings.Repeat("a", 300) + `","tag":"v1"}}]}`,
		`{"events":[{"action":"delete","target":{"repository":""}}]}`, `{"events":[{"action":"push","target":{"repository":"http://evil.example/x","tag":"v1"}}]}`,
	},
	Harbor: {
		`{"type":"SOMETHING_NEW"}`, `{"type":"harbor.something.new","specversion":"1.0"}`, `{"type":"REPLICATION","event_data":{}}`, `{"type":"TAG_RETENTION"}`,
		`{"type":"PUSH_ARTIFACT","event_data":{"resources":[{"tag":"v1"}],"repository":{"repo_full_name":"a//b"}}}`,
	},
	Quay: {`{"repository":"team/app"}`, `{"repository":"team/app","updated_tags":null}`, `{"repository":"team/app","updated_tags":[""]}`, `{"repository":"?","updated_tags":["v1"]}`},
	Artifactory: {
		`{"domain":"artifact","event_type":"deployed","data":{}}`, `{"domain":"docker","event_type":"imagined"}`,
		`{"event_type":"pushed","data":{"repo_key":"..","image_name":"..","tag":"v1"}}`,
	},
}

// quietEvents change no tag.
var quietEvents = map[Kind][]string{
	Distribution: {
		`{"events":[]}`, `{"events":[{"action":"pull","target":{"repository":"team/app","tag":"v1"}}]}`, `{"events":[{"action":"mount","target":{"repository":"team/app"}}]}`,
		`{"events":[{"action":"push","target":{"mediaType":"application/octet-stream","repository":"team/app","digest":"sha256:1"}}]}`,
		`{"events":[{"action":"push","target":{"repository":"team/app","tag":"sha256-` + strings.Repeat("0", 64) + `.sig"}}]}`,
		`{"events":[{"action":"push","target":{"repository":"team/pause","tag":"v1"}}]}`,
	},
	Harbor: {
		`{"type":"PULL_ARTIFACT"}`, `{"type":"SCANNING_COMPLETED"}`,
		`{"type":"PUSH_ARTIFACT","event_data":{"resources":[{"digest":"sha256:1"}],"repository":{"repo_full_name":"team/app"}}}`,
	},
	Quay:        {`{"repository":"team/app","build_id":"x"}`, `{"repository":"team/app","vulnerability":{"id":"x"}}`, `{"repository":"team/app","updated_tags":[]}`},
	Artifactory: {},
}

func TestWhatIsNoEventIsRefusedAndNothingIsLost(t *testing.T) {
	for kind := range products {
		t.Run(string(kind), func(t *testing.T) {
			r := startReceiver(t, kind, func(o *Options) { o.Selection = perceiver.Selection{IgnoredImages: []string{"*/pause"}} })
			for _, body := range wrongBodies {
				status, said := r.say(t, body, bearer)
				switch {
				case kind == Distribution && strings.HasPrefix(body, `{"events":[`): // it has a form
				case kind == Distribution:
					require.Equal(t, "202 unknown", fmt.Sprint(status, " ", said), "%.80s", body)
				case said == "unknown" || said == "ignored":
					require.Less(t, status, 300)
				default:
					require.Equal(t, "400 invalid", fmt.Sprint(status, " ", said), "%.80s", body)
				}
			}
			require.Contains(t, r.log.String(), "a message could not be read; the registry is walked instead")
			for _, body := range strangeEvents[kind] {
				status, said := r.say(t, body, bearer)
				require.Equal(t, "202 unknown", fmt.Sprint(status, " ", said), "%.80s", body)
			}
			require.Contains(t, r.log.String(), "an event is not known; the registry is walked instead")
			for _, body := range quietEvents[kind] {
				status, said := r.say(t, body, bearer)
				require.Equal(t, "200 ignored", fmt.Sprint(status, " ", said), "%.80s", body)
			}
			require.Positive(t, r.counted(t, "unknown"))
			require.Len(t, r.world.Reports(), 1, "nothing of it is reported")
			require.Len(t, r.soon, 1, "a walk is asked for")

			r.set("team/app", "v2", sumOf("2")) // its twin is right
			for _, row := range pushes {
				if row.kind == kind {
					status, _ := r.say(t, strings.ReplaceAll(row.body, "TAG", "v2"), bearer)
					require.Equal(t, http.StatusOK, status)
				}
			}
			require.Len(t, r.rows(), 2)
			require.NotContains(t, r.log.String(), testSecret)
		})
	}
}

func TestAnUnknownEventHasTheRegistryWalked(t *testing.T) {
	r := startReceiver(t, Harbor, func(o *Options) { o.WalkInterval = 300 * time.Millisecond })
	r.set("team/new", "v1", sumOf("3"))
	status, _ := r.say(t, `{"type":"REPLICATION"}`, bearer)
	require.Equal(t, http.StatusAccepted, status)
	eventually(t, "the walk to find the tag", func() bool { return r.rows()["team:new/v1"] == sumOf("3") })
}

func TestALargeBodyIsRefused(t *testing.T) {
	large := strings.Repeat("x", 10<<20)
	for kind := range products {
		r := startReceiver(t, kind, nil)
		for what, body := range map[string]io.Reader{"of a known length": strings.NewReader(large), "in chunks": io.MultiReader(strings.NewReader(large))} {
			recorder := httptest.NewRecorder()
			request := httptest.NewRequest(http.MethodPost, "/webhook", body)
			request.Header.Set("Authorization", "Bearer "+testSecret)
			r.handler().ServeHTTP(recorder, request)
			require.Equal(t, http.StatusRequestEntityTooLarge, recorder.Code, "%s %s", kind, what)
			unknown := httptest.NewRecorder()
			r.handler().ServeHTTP(unknown, httptest.NewRequest(http.MethodPost, "/webhook", strings.NewReader(large)))
			require.Equal(t, http.StatusUnauthorized, unknown.Code)
		}
		require.Equal(t, 2, r.counted(t, "too_large"))
		fitting := strings.ReplaceAll(pushes[0].body, `"actor":{}`, `"actor":{"name":"`+strings.Repeat("x", bodyBytes-1000)+`"}`)
		if kind == Distribution {
			status, said := r.say(t, strings.ReplaceAll(fitting, "TAG", "v1"), bearer)
			require.Equal(t, "200 accepted", fmt.Sprint(status, " ", said))
		}
	}
}

func TestAMessageOfTooManyChangesIsRefused(t *testing.T) {
	r := startReceiver(t, Quay, nil)
	var tags []string
	for i := range placesAtMost + 1 {
		tags = append(tags, fmt.Sprintf(`"t%d"`, i))
	}
	status, _ := r.say(t, `{"repository":"team/app","updated_tags":[`+strings.Join(tags, ",")+`]}`, bearer)
	require.Equal(t, http.StatusRequestEntityTooLarge, status)
	status, _ = r.say(t, `{"repository":"team/app","updated_tags":[`+strings.Join(tags[1:], ",")+`]}`, bearer)
	require.Equal(t, http.StatusOK, status)
}

func sign(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

func TestOnlyWhoKnowsTheSecretIsBelieved(t *testing.T) {
	artifactory := strings.ReplaceAll(pushes[5].body, "TAG", "v1")
	for _, row := range []struct {
		what    string
		kind    Kind
		headers map[string]string
		right   bool
	}{
		{"a bearer token", Distribution, bearer, true},
		{"the second secret", Distribution, map[string]string{"Authorization": "bearer another-secret-of-these"}, true},
		{"the secret alone", Harbor, map[string]string{"Authorization": testSecret}, true},
		{"a password", Quay, map[string]string{"Authorization": "Basic YW55OjAxMjM0NTY3ODlhYmNkZWY="}, true},
		{"a signature", Artifactory, map[string]string{signatureHeader: sign(testSecret, artifactory)}, true},
		{"a signature in capitals", Artifactory, map[string]string{signatureHeader: strings.ToUpper(sign(testSecret, artifactory))}, true},
		{"the plain secret of Artifactory", Artifactory, map[string]string{signatureHeader: testSecret}, true},
		{"nothing", Distribution, nil, false},
		{"an empty token", Distribution, map[string]string{"Authorization": "Bearer "}, false},
		{"a wrong token", Distribution, map[string]string{"Authorization": "Bearer 0123456789abcdeg"}, false},
		{"a part of the token", Distribution, map[string]string{"Authorization": "Bearer 0123456789abcde"}, false},
		{"a wrong password", Quay, map[string]string{"Authorization": "Basic YW55Ondyb25n"}, false},
		{"the secret as the name of a user", Quay, map[string]string{"Authorization": "Basic MDEyMzQ1Njc4OWFiY2RlZjo="}, false},
		{"a signature of another body", Artifactory, map[string]string{signatureHeader: sign(testSecret, artifactory+" ")}, false},
		{"a signature with another secret", Artifactory, map[string]string{signatureHeader: sign("0123456789abcdeg", artifactory)}, false},
		{"no signature", Artifactory, map[string]string{signatureHeader: "zz"}, false},
		{"an empty signature", Artifactory, map[string]string{signatureHeader: ""}, false},
		{"a signature of another product", Harbor, map[string]string{signatureHeader: sign(testSecret, artifactory)}, false},
	} {
		t.Run(row.what, func(t *testing.T) {
			r := startReceiver(t, row.kind, func(o *Options) {
				o.Secrets = func() []string { return []string{testSecret, "another-secret-of-these"} }
			})
			body := artifactory
			if row.kind != Artifactory {
				for _, each := range pushes {
					if each.kind == row.kind {
						body = strings.ReplaceAll(each.body, "TAG", "v1")
					}
				}
			}
			status, said := r.say(t, body, row.headers)
			if row.right {
				require.Equal(t, "200 accepted", fmt.Sprint(status, " ", said))
				return
			}
			require.Equal(t, "401 unauthorized", fmt.Sprint(status, " ", said))
			require.Positive(t, r.counted(t, "unauthorized"))
			require.Contains(t, r.log.String(), "reason=unauthorized")
		})
	}
}

func TestWithoutSecretsNoEventIsTaken(t *testing.T) {
	r := startReceiver(t, Distribution, func(o *Options) { o.Secrets = nil })
	for _, headers := range []map[string]string{nil, bearer, {"Authorization": "Bearer "}} {
		status, _ := r.say(t, pushes[0].body, headers)
		require.Equal(t, http.StatusUnauthorized, status)
	}
}

func TestAnEventIsAcceptedOnlyWhenPerceptorHasItsReport(t *testing.T) {
	r := startReceiver(t, Distribution, nil)
	r.set("team/app", "v2", sumOf("2"))
	body := strings.ReplaceAll(pushes[0].body, "TAG", "v2")
	r.world.SetAway(true)
	status, said := r.say(t, body, bearer)
	require.Equal(t, "503 unavailable", fmt.Sprint(status, " ", said))
	require.Len(t, r.rows(), 1)
	r.world.SetAway(false)
	eventually(t, "the event to be accepted", func() bool { s, _ := r.say(t, body, bearer); return s == http.StatusOK })
	require.Len(t, r.rows(), 2)

	r.setAway(true)
	body = strings.ReplaceAll(strings.ReplaceAll(pushes[0].body, `"id":"1"`, `"id":"2"`), "TAG", "v2")
	status, said = r.say(t, body, bearer)
	require.Equal(t, "503 unavailable", fmt.Sprint(status, " ", said), "while the registry cannot be asked")
	r.setAway(false)
	status, said = r.say(t, body, bearer)
	require.Equal(t, "200 accepted", fmt.Sprint(status, " ", said))
}

func TestARepositoryThatIsRefusedEndsTheEventAndStaysUnknown(t *testing.T) {
	r := startReceiver(t, Distribution, nil)
	r.set("team/hidden", "v1", sumOf("4"))
	r.lock.Lock()
	r.refused["team/hidden"] = true
	r.lock.Unlock()
	body := strings.ReplaceAll(strings.ReplaceAll(pushes[0].body, "team/app", "team/hidden"), "TAG", "v1")
	status, said := r.say(t, body, bearer)
	require.Equal(t, "202 unreadable", fmt.Sprint(status, " ", said))
	require.Contains(t, r.log.String(), "the registry answered 403")
}

func TestADeletedManifestHasTheWholeRepositoryRead(t *testing.T) {
	r := startReceiver(t, Distribution, nil)
	r.set("team/app", "v2", sumOf("2"))
	r.set("team/app", "v1", "")
	status, _ := r.say(t, `{"events":[{"id":"9","action":"delete","target":{"repository":"team/app","digest":"`+sumOf("1")+`"}}]}`, bearer)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, map[string]string{"team:app/v2": sumOf("2")}, r.rows())
}

// TestAnEventThatComesBeforeTheTagMoves: the distribution registry sends the event of a push before the tag leads to the manifest.
func TestAnEventThatComesBeforeTheTagMoves(t *testing.T) {
	for what, pause := range map[string]time.Duration{"a little": 200 * time.Millisecond, "much": 2 * time.Second} {
		t.Run(what, func(t *testing.T) {
			r := startReceiver(t, Distribution, nil)
			go func() { time.Sleep(pause); r.set("team/app", "v1", sumOf("2")) }()
			body := strings.ReplaceAll(strings.ReplaceAll(pushes[0].body, "sha256:00", sumOf("2")), "TAG", "v1")
			status, _ := r.say(t, body, bearer)
			require.Equal(t, http.StatusOK, status)
			eventually(t, "the tag to be read again", func() bool { return r.rows()["team:app/v1"] == sumOf("2") })
		})
	}
}
