// Package api is Perceptor's REST API: the original's endpoints for perceivers, with the same keys and statuses, and
// /api/v1 for everything the command line does, with an OpenAPI description made from this code. It says what it needs as
// the interface Backend, in the nouns of internal/image, and keeps nothing between two requests: any number of processes
// may serve it. What is answered with 2xx has been handed over; nothing of it is in this process alone.
//
// Not in here: how workflows are signalled, what a verdict is, and any credential of a hub or a registry.
package api
