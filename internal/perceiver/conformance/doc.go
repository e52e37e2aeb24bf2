// Package conformance is what every perceiver must do, as tests that run against any platform.
//
// The idea: a perceiver's test package says how to change its platform, real or not, and how to run the perceiver against a Reporter.
// Run does the rest: it changes the platform, takes the reports as Perceptor does, and compares.
//
// What may not go in: anything of one platform.
// Start reading at conformance.go.
package conformance
