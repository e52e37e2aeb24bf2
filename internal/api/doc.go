// Package api holds what the REST APIs of Perceptor share: the interface to the rest of the program (Backend), admission
// by tokens, the reading of bodies, the checks of what perceivers report, limits, metrics, health, and the server itself.
//
// The APIs are packages beside it, and each of them imports this one: v1 is /api/v1 with its OpenAPI description, compat
// is the REST API of Perceptor 0.x (2018). Neither knows the other. Package server puts them together.
//
// A server keeps nothing between two requests, so any number of processes may serve. An answer with a 2xx status means
// that the change is stored: it survives this process.
package api
