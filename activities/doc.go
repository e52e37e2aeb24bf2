// Package activities holds the verbs: one file per step of the stories in package workflows.
//
// Each step declares the small interface it needs and knows no edge package; workers wires the two together. Every step
// is idempotent, bounded in time and stoppable. errors.go is the one place where a failure's class decides whether the
// server tries again. Steps that speak to a hub return what went wrong as a result instead, after two retries, so that
// the workflow can tell the pool of hubs and wait for it.
//
// Secrets never enter an input, a result, an error, a heartbeat or a log: inputs carry a credential's name.
package activities
