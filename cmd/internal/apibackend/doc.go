// Package apibackend connects the REST API to the starter: it translates the API's requests into calls, the answers into the
// API's types, and errors into what a client may read. perceptor api and perceptor-dev share it.
package apibackend
