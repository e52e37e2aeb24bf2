// Package starter is the only code that starts, signals, queries or updates a workflow from outside: the command line, the
// API, the steps that speak to Temporal and, through them, every perceiver go through it. It holds a Temporal client and
// nothing else; it decides nothing that a workflow could decide.
package starter
