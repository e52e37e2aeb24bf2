package main

import (
	"fmt"
	"io"
)

const greeting = `
Perceptor runs on this machine, for development only.

  Temporal   %[1]s
  Web UI     http://%[2]s
  Hub        https://%[3]s   (user sysadmin)
  Registry   http://%[4]s
  REST API   http://%[6]s/docs

  Its files are in %[5]s: hub-token,
  hub-password and hub-ca.pem open the hub, api-tokens.json the REST API,
  addresses.json is for scripts, temporal.log, workers.log and api.log tell of
  troubles.

`

// greet tells where everything is.
func (s *stack) greet(out io.Writer) {
	addresses := s.addresses()
	_, _ = fmt.Fprintf(out, greeting, addresses.Temporal, addresses.UI, addresses.Hub, addresses.Registry, s.dir.Path(), addresses.API)
	if s.options.noWorkers {
		_, _ = fmt.Fprintf(out, "No workers run here. Start as many as you like with:\n\n  perceptor worker --dev %s\n\n", s.dir.Path())
	}
}

// ownUp says how little the hub knows: its first records are a sample, and "no finding" means little with them.
func ownUp(out io.Writer) {
	_, _ = fmt.Fprint(out, `
Until you load more, the hub knows only a sample of some sixty published records. To load all of OSV:
  perceptor hub update --from https://osv-vulnerabilities.storage.googleapis.com

`)
}
