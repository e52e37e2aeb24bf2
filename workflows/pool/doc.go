// Package pool is the workflow HubPool: the one workflow that decides which scan may use which hub.
//
// The book of package lease decides; the workflow carries it out, and holds the circuit breakers of the hubs. The rules:
//
//   - All that has arrived is received before anything is decided. Releases come before requests.
//   - A grant is sent until it is confirmed. A lease whose holder is gone drains: it is free when the hub is done.
//   - A pool that lost its state grants nothing until all open scans have announced what they hold.
//   - A hub that fails trips. Then its queue is stopped, and only a probe that succeeds makes it available again.
//   - A run ends when the fate of every signal that it sent is known.
//
// The files: pool.go is the loop. signals.go receives signals. steps.go asks scans and hubs, and sends grants. breaker.go is the
// circuit breakers. updates.go takes the operator's changes. status.go answers queries.
package pool
