// Command perceptor-scan is the built-in scan client: "sbom" finds out what is in an image tar, "serve" does that for one image
// after the other, "upload" sends an SBOM to a hub. It is a module of its own because Syft, which does the finding, is heavy.
//
// It speaks the line protocol of internal/scanclient/protocol on its standard output, so that the worker that runs it
// sees progress, results and reasons; its log goes to standard error. Where its standard input is a pipe, it ends at
// once when that closes: then the program that started it is gone. It starts no processes.
//
// Against Black Duck itself, the built-in client's upload has not been tried yet.
package main
