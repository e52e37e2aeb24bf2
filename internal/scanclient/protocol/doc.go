// Package protocol is what a scan client and the program that runs it say to each other.
//
// A scan client is any program with the verbs "sbom" and "upload" (flags in the constants below). It writes JSON
// lines to its standard output and nothing else: progress while it works, then exactly one last line that holds a
// result or an error. Its standard error is a log for people. It exits with a code after sysexits.h, which counts
// only when the last line is missing.
//
// Two rules carry weight. A client says the phase "upload" before it sends the first byte of an SBOM, so that one
// that dies earlier is known to have sent nothing. And it ends at once when its standard input closes, because then
// the program that started it is gone.
//
// What goes in: the messages, their limits, their reader and their writer. What may not: processes, files and sockets.
package protocol
