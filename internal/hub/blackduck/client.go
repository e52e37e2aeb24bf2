package blackduck

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"github.com/perceptor/perceptor/model"
)

// Client speaks to one hub. It is safe for concurrent use; all calls share one login.
type Client struct {
	name    string
	options Options
	origin  origin
	http    *http.Client
	limiter *rate.Limiter
	timeout time.Duration
	now     func() time.Time

	// withoutReadiness remembers that the hub does not offer scan-readiness, so that a probe stays one call.
	withoutReadiness atomic.Bool

	logins  singleflight.Group
	mu      sync.Mutex
	current *session
}

// New checks the options and makes a Client; nothing is sent before the first call. The error names every mistake.
func New(o Options) (*Client, error) {
	root, wrong := o.validate()
	transport, err := o.transport()
	if err := errors.Join(wrong, err); err != nil {
		return nil, &Error{
			Class: model.Invalid, Hub: o.Name, Op: "configure",
			row: failure{class: model.Invalid, says: "the configuration is wrong"}, err: err,
		}
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	return &Client{
		name:    o.Name,
		options: o,
		origin:  root,
		http: &http.Client{
			Transport: transport,
			// Redirects are judged in send: Go's own following would turn methods and carry headers along.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		limiter: limiter(o.RequestsPerSecond),
		timeout: o.Timeout,
		now:     time.Now,
	}, nil
}

// burstShare is how much of a second's requests may come at once: a tenth, and always one.
const burstShare = 10

func limiter(perSecond float64) *rate.Limiter {
	if perSecond == 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(perSecond), max(1, int(math.Min(perSecond, math.MaxInt32))/burstShare))
}

// Name is the configured name of the hub.
func (c *Client) Name() string { return c.name }

// Close lets go of idle connections. Calls under way go on, and later ones open new connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// String names the hub without any secret.
func (c *Client) String() string { return fmt.Sprintf("hub %s at %s", c.name, c.origin.root()) }
