package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/perceptor/perceptor/cmd/internal/updates"
)

const greeting = `
Perceptor runs on this machine, for development only.

  Temporal   %[1]s
  Web UI     http://%[2]s
  Hub        https://%[3]s   (user sysadmin)
  Registry   http://%[4]s
  REST API   http://%[6]s/docs
  Data       %[7]s

  Its files are in %[5]s: hub-token,
  hub-password and hub-ca.pem open the hub, api-tokens.json the REST API,
  addresses.json is for scripts, temporal.log, workers.log and api.log tell of
  troubles.

`

// greet tells where everything is.
func (s *stack) greet(out io.Writer) {
	addresses := s.addresses()
	_, _ = fmt.Fprintf(out, greeting, addresses.Temporal, addresses.UI, addresses.Hub, addresses.Registry, s.dir.Path(), addresses.API, s.dataLines("\n             "))
	if s.options.noWorkers {
		_, _ = fmt.Fprintf(out, "No workers run here. Start as many as you like with:\n\n  perceptor worker --dev %s\n\n", s.dir.Path())
	}
}

// dataLines say which data the verdicts rest on.
func (s *stack) dataLines(between string) string {
	view, err := s.hub.inner.Data()
	if err != nil {
		return "cannot be read: " + err.Error()
	}
	return strings.Join(updates.Describe(view, time.Now()), between)
}

// ownUp says how little the hub knows when its records are a sample: "no finding" means little with them.
func (s *stack) ownUp(out io.Writer) {
	_, _ = fmt.Fprintf(out, `
The verdicts rest on %s
To load all of OSV at once:
  perceptor hub update --from https://osv-vulnerabilities.storage.googleapis.com

`, s.dataLines("\n  "))
}
