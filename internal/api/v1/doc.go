// Package v1 is the REST API under /api/v1: what the command perceptor does, for programs. It also serves the OpenAPI
// description of every endpoint of the server, for programs (/openapi.json) and for people (/docs). The description comes
// from the types that are really read and written.
package v1
