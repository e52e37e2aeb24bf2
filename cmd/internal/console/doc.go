// Package console is what the commands show to a person: scans with their progress, tables, JSON and YAML. It asks the workflows
// through package starter and holds no state of its own.
package console
