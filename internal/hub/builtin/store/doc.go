// Package store keeps everything that the built-in hub knows in one bbolt file. It knows the database only: no policy, no
// REST, no clock, and nothing that runs in the background.
//
// A caller works inside a transaction (View or Update) and reaches the objects through it: tx.Projects(), tx.Versions(),
// tx.CodeLocations(), tx.Scans(), tx.Notifications(), tx.Counters(), tx.Data(). A fact and its counters change in one
// transaction. The types with JSON tags are what the file holds: a field that is renamed must still be read under its
// former name.
package store
