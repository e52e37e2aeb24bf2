// Package diskcache keeps files under names on a disk that several processes share: whole ones below whole, growing ones
// below partial.
//
// Locks on the files themselves tell processes apart: a user of a file holds it shared, and a process that removes or
// writes one holds it exclusively. The kernel drops a lock with its process, so nothing is left over by a kill.
// What goes in: names, locks, and which file goes first when there are too many. What may not: what the files hold.
package diskcache
