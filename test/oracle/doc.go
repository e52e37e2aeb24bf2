// Package oracle asks the package managers themselves. Its tests have the build tag oracle and are run by `make oracle`: they
// compare the order of versions that the built-in hub judges by, and the packages that perceptor-scan lists, with what dpkg,
// rpm, pip's and npm's libraries, Maven and RubyGems say. They need these programs, and OSV_DIR for the real records; what is
// missing is named as skipped. What may not go in: a test that CI runs.
package oracle
