// Package temporal runs a whole Temporal server inside this process.
//
// Idea: one server of all four services on loopback, its history in one SQLite
// file, so that workflows outlive the process with nothing else installed. The
// server asks for no credentials and is not made for production.
//
// Rules: a file belongs to one version of the server and is refused by any
// other, since nothing here migrates it. Only the server and what it needs to
// be reached may go in here: no workers, no workflows, no knowledge of scans.
package temporal
