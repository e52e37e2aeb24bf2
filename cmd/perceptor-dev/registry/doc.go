// Package registry serves container images on loopback, from a directory.
//
// Idea: the reference registry of the OCI world inside this process, so that
// pulls meet a real one, with a brake on what it sends, so that a demo or a
// test can watch a slow pull.
//
// Rules: no credentials, no TLS, loopback only; what was pushed stays over a
// restart. What is pushed is not its matter and may not go in here.
package registry
