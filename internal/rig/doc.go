// Package rig starts the built programs for tests and benchmarks: it starts and kills them, pushes images, requests scans, and
// reads what the hubs and the histories say. It reads the programs from outside, as their users do. The programs are those of
// bin/, so `make build` comes first.
package rig
