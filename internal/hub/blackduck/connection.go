package blackduck

import (
	"math"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
)

// connection sends the calls of a Client: it logs in, keeps to the limit of requests, and turns failures into errors.
type connection struct {
	name    string
	options Options
	origin  origin
	http    *http.Client
	limiter *rate.Limiter
	timeout time.Duration
	now     func() time.Time

	logins  singleflight.Group
	mu      sync.Mutex
	current *session
}

func newConnection(o Options, root origin, transport http.RoundTripper) *connection {
	return &connection{
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
	}
}

// burstShare is how much of a second's requests may come at once: a tenth, and always one.
const burstShare = 10

func limiter(perSecond float64) *rate.Limiter {
	if perSecond == 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(perSecond), max(1, int(math.Min(perSecond, math.MaxInt32))/burstShare))
}
