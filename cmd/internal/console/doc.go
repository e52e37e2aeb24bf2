// Package console is what the commands show a person: a scan followed to its end with progress, tables and JSON. It asks
// the workflows through package starter and holds no state of its own.
package console
