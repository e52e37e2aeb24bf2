package registry

import (
	"context"
	"net/http"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/perceptor/perceptor/model"
)

// NewHasty is New for tests that wait for retries: as many tries, but hardly any time between them.
func NewHasty(options Options) (*Client, error) {
	options.Reach.Loopback = true // where the registries of tests are
	return NewGuarded(options)
}

// NewGuarded is NewHasty with the addresses of the options alone.
func NewGuarded(options Options) (*Client, error) {
	return newClient(options, pace{
		tries: 5, first: time.Millisecond, longest: 4 * time.Millisecond,
		patience: 5 * time.Second, stall: 200 * time.Millisecond, tick: time.Millisecond, question: 3 * time.Second,
	})
}

// Tries is how often a hasty client tries.
const Tries = 5

// ParseReference is the parsing step of Resolve.
var ParseReference = parseReference

// RetryAfter is the reader of the header of that name.
var RetryAfter = retryAfter

// Choose is the choice of a manifest from an index.
func Choose(entries []v1.Descriptor, wanted model.Platform) (v1.Hash, error) {
	var all []entry
	for _, d := range entries {
		all = append(all, entry{digest: d.Digest, platform: platformIn(d)})
	}
	return choose(all, wanted, "")
}

// Logins are the user names that docker configurations hold for a repository, in the order in which they are tried.
func Logins(repository string, texts ...string) ([]string, error) {
	repo, err := parseRepository(repository, nil)
	if err != nil {
		return nil, err
	}
	var secrets [][]byte
	for _, text := range texts {
		secrets = append(secrets, []byte(text))
	}
	found, err := fromPullSecrets(secrets, repo)
	var users []string
	for _, c := range configsOf(found) {
		users = append(users, c.Username)
	}
	return users, err
}

// ChallengeScheme is the reader of challenges.
var ChallengeScheme = challengeScheme

// Waiting is how many pulls wait for a layer to arrive.
func (c *Client) Waiting(h v1.Hash) int {
	c.flights.mu.Lock()
	defer c.flights.mu.Unlock()
	if flying, ok := c.flights.byDigest[h.Hex]; ok {
		return flying.waiting
	}
	return 0
}

// Redirected tells whether a client would follow a redirect.
func (c *Client) Redirected(to *http.Request, via []*http.Request) error {
	return c.wire.checkRedirect(to, via)
}

// Gate is the shared back-off by itself.
type Gate struct{ *gate }

// NewGate makes a gate that waits this long at most.
func NewGate(patience time.Duration) Gate {
	return Gate{newGate(pace{first: time.Second, longest: 8 * time.Second, patience: patience})}
}

// Note tells the gate of an answer.
func (g Gate) Note(host string, resp *http.Response) { g.note(host, "", resp) }

// Wait waits until the host may be asked.
func (g Gate) Wait(ctx context.Context, host string) error { return g.wait(ctx, host) }

// Evict frees bytes.
func (c *Client) Evict(short int64) error { return c.evict(short) }
