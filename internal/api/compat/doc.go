// Package compat is the REST API of Perceptor 0.x (2018), for the perceivers and operators of that time: the same paths,
// methods, keys and statuses. It reads the bodies of all releases, and answers in the form of the first releases (v0.0.14)
// or of the last ones (v2.2.4). The answers are written down in testdata.
//
// Package server mounts it in one line. Nothing else imports this package, so that it can be deleted with that line.
package compat
