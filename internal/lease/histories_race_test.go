//go:build race

package lease

// histories is a fifth of the usual number under the race detector: it is ten times slower, and a book is used by one goroutine.
const histories = 4_000
