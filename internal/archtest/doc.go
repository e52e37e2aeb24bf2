// Package archtest holds the conventions of this repository as tests: who may import whom, how many methods a type
// and how many files a package may have, in which file a step is, that README's tree is the tree on disk, that every
// registered workflow has a recorded history.
//
// Each check is a function from a Tree to the list of what is wrong with it, so that the same function is run on this
// repository and, to show that it can fail, on small made-up trees. The files are read and parsed by the test itself and
// never through the go command: what the go command says is invisible to Go's test cache, and a stale "ok" would follow.
//
// A new package gets its row in imports.go. A rule that a tool can check (a linter, the compiler) does not belong here.
package archtest
