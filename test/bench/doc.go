// Package bench measures the built programs from outside. Its benchmarks have the build tag bench; `make bench` runs them all.
package bench
