// Package pool is the workflow HubPool: the one workflow that decides which scan may use which hub. The decisions are those of
// package lease. What is here carries them out, and holds the circuit breakers of the hubs.
package pool
