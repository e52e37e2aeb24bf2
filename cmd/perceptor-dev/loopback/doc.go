// Package loopback takes the addresses that perceptor-dev listens on.
//
// Idea: every address is taken first, before anything is started, so that a
// busy port is one clear error that names its flag and not half a start.
//
// Rules: only loopback addresses are accepted, because nothing that
// perceptor-dev starts is made to face a network. No knowledge of what will be
// served on an address may go in here.
package loopback
