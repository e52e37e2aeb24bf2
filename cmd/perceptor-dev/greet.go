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

  Its files are in %[5]s: hub-token,
  hub-password and hub-ca.pem open the hub, addresses.json is for scripts,
  temporal.log and workers.log tell of troubles.

`

// greet tells where everything is.
func (s *stack) greet(out io.Writer) {
	addresses := s.addresses()
	_, _ = fmt.Fprintf(out, greeting, addresses.Temporal, addresses.UI, addresses.Hub, addresses.Registry, s.dir.Path())
}
