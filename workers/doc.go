// Package workers is the wiring: which workflows and steps are served on which queue, built from the configuration with fx.
// It knows every edge and turns them into the small interfaces the steps declare. Nothing is decided here but who serves
// what, how many at a time, and how a worker stops.
package workers
