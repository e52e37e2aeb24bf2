//go:build !race

package lease

// histories is how many random histories one run of the tests judges.
const histories = 20_000
