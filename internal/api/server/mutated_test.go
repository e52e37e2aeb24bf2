package server_test

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/api/apitest"
)

// pieces are what mutations put into bodies.
var pieces = []string{
	"null", "true", "-1", "9e99", "9223372036854775808", `""`, "[]", "{}", "[[[[[[[[", `{"a":`, `"\u0000"`, `"\ud800"`, "\x00", "\xff\xfe", ",", ":", `"`,
	strings.Repeat("x", 1200), `"` + strings.Repeat("n", 1200) + `"`, strings.Repeat("[", 3000), "1e-400", "-0", " ", "\n",
}

// mutated is a body with some random changes.
func mutated(random *rand.Rand, body string) string {
	for range 1 + random.IntN(4) {
		piece := pieces[random.IntN(len(pieces))]
		from := random.IntN(len(body) + 1)
		to := from + random.IntN(min(len(body)-from, 30)+1)
		switch random.IntN(3) {
		case 0: // in place of a part
			body = body[:from] + piece + body[to:]
		case 1: // without a part
			body = body[:from] + body[to:]
		default: // a value in place of a value
			if colon := strings.IndexByte(body[from:], ':'); colon >= 0 {
				at := from + colon + 1
				end := at
				if comma := strings.IndexAny(body[at:], ",}"); comma >= 0 {
					end = at + comma
				}
				body = body[:at] + piece + body[end:]
			}
		}
	}
	return body
}

// TestMutatedBodies sends random changes of good bodies to every endpoint for some seconds. Each is answered, none with an error of
// the server, and what is stored passes the check that the rest of Perceptor relies on. Then the server still works.
func TestMutatedBodies(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, seed))
	s := filled(t)
	endpoints := slices.DeleteFunc(guardedEndpoints(t), func(e string) bool { return strings.HasPrefix(e, "GET ") })
	tokens := []string{apitest.PerceiverToken, apitest.OperatorToken}
	statuses, sent := map[int]int{}, 0
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
		for _, endpoint := range endpoints {
			body := mutated(random, bodyOf(endpoint, targets[0])+" ")
			method, path, _ := strings.Cut(endpoint, " ")
			path = strings.NewReplacer("{digest}", string(targets[0].digest), "{cluster}", "default", "{hub}", "main", "{namespace}", "shop", "{name}", "web").Replace(path)
			for _, token := range tokens {
				got := s.Send(token, method, path, strings.NewReader(body))
				require.Less(t, got.Status, http.StatusInternalServerError, "%s with %q: %s (seed %d)", endpoint, body, got.Body, seed)
				require.Less(t, len(got.Body), 64<<10, "%s with %q", endpoint, body)
				statuses[got.Status]++
				sent++
			}
		}
		for _, report := range s.Reports {
			for _, p := range report.Pods {
				require.NoError(t, p.Check(), "seed %d", seed)
			}
		}
		s.Reports, s.Asked = s.Reports[:0], nil
	}
	t.Logf("%d requests, by status: %v", sent, statuses)
	require.Positive(t, statuses[http.StatusBadRequest])
	require.Positive(t, statuses[http.StatusOK])
	got := s.As(apitest.PerceiverToken, http.MethodPost, "/api/v1/reports", bodyOf("POST /api/v1/reports", targets[0]))
	require.Equal(t, http.StatusOK, got.Status, got.Body)
}
