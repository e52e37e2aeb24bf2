// Package activities holds the verbs: the steps of the stories in package workflows.
//
// A file of steps is named after its first step. The other steps in it are of the same type, and belong to the first one.
// Each file declares the small interface that its steps need and knows no edge package; workers wires the two together.
// Every step is idempotent, bounded in time and stoppable.
//
// errors.go is the one place where a failure's class decides whether the server tries again. Steps that call a hub return
// the hub's failure as a result instead, after two retries. The workflow then reports it to the pool of hubs and waits for
// that hub.
//
// Secrets never enter an input, a result, an error, a heartbeat or a log: inputs carry a credential's name.
package activities
