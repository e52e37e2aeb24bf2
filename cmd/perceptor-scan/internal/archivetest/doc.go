// Package archivetest makes image tars for tests: honest ones, as "docker save" and our own puller write them, and the
// kinds that an attacker might prepare. What may not go in: anything the program itself uses.
package archivetest
