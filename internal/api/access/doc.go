// Package access says who may do what at the API: bearer tokens with a scope and a cluster. It also has the certificate of
// the API. Both come from files that are read again when they change. It does not know the endpoints, and it never returns
// or logs a token.
package access
