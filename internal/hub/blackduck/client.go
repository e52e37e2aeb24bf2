package blackduck

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/perceptor/perceptor/model"
)

// Client speaks to one hub. It is safe for concurrent use; all calls share one login.
type Client struct {
	*connection

	// withoutReadiness remembers that the hub does not offer scan-readiness, so that a probe stays one call.
	withoutReadiness atomic.Bool
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
	return &Client{connection: newConnection(o, root, transport)}, nil
}

// Name is the configured name of the hub.
func (c *Client) Name() string { return c.name }

// Close lets go of idle connections. Calls under way go on, and later ones open new connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// String names the hub without any secret.
func (c *Client) String() string { return fmt.Sprintf("hub %s at %s", c.name, c.origin.root()) }
