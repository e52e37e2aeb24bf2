// Package refresh is the workflow RefreshHub: one pass over what has changed at one hub. It reads verdicts again without any scan.
//
// The rules:
//
//   - The hub's list of changes names what to read. Each pass begins where the pass before ended, with an overlap.
//   - A sweep over all images of the hub replaces the list where there is none, or where it may have been incomplete.
//   - The images of a version that is deleted at the hub are scanned again.
//   - What cannot be done now is left to the next pass.
//
// The files: refresh.go is the loop and the list of changes. steps.go reads verdicts, notifies images and sweeps. signals.go
// reports to the pool. status.go is the pass in words.
package refresh
