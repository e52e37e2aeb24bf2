// Package jobs is the work of the built-in hub: scans from their acceptance to their end, judging again when data, rules or
// contents change, updates of the vulnerability data, clean-up, and every edit that has such consequences.
//
// Each kind of work is a type of its own around the same core (store, clock, log, life): Scans, Catalog, Judging, Updates
// and Cleanup. What must be true together is written in one transaction, so a killed hub loses nothing that it has
// answered for: an accepted scan goes on after a restart, and an update that did not finish changes nothing.
//
// What may not go in: REST, the layout of the file, and how a component is judged.
package jobs
