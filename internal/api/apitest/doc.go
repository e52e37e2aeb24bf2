// Package apitest is for the tests of the APIs: a backend in memory, tokens of every scope, and a server that is asked
// without a network.
package apitest
