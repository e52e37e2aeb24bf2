// Package apibackend lets the REST API stand on the starter: it translates between the API's words and the workflows', and
// their errors into what a client may read. perceptor api and perceptor-dev share it.
package apibackend
