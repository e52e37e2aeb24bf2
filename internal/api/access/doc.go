// Package access says who may do what at the API: bearer tokens with a scope and a cluster, read from a file that is read
// again when it changes, and the certificate the API shows, likewise. It knows nothing of requests' contents and of what
// is served; it never hands out or logs a token.
package access
